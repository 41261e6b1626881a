import pytest
import torch

from recommender.engine.learning.parallel import pool, summed


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_parts_in_threads_give_the_batch_s_loss_and_gradients(threads: int) -> None:
    weight, unused = torch.randn(4, requires_grad=True), torch.randn(2, requires_grad=True)
    x = torch.randn(9, 4)
    before = torch.get_num_threads()
    with pool(threads, 3) as executor:
        found = 2 * summed(x.split(3), lambda part: (part @ weight).pow(2).sum(), [weight, unused], executor)
    torch.set_num_threads(before)
    expected = 2 * (x @ weight).pow(2).sum()
    torch.testing.assert_close(found, expected)
    found.backward()  # type: ignore[no-untyped-call]
    assert unused.grad is None
    torch.testing.assert_close(weight.grad, torch.autograd.grad(expected, [weight])[0])


def test_an_error_in_a_part_is_not_lost() -> None:
    def wrong(part: int) -> torch.Tensor:
        raise ZeroDivisionError

    with pool(2, 2) as executor, pytest.raises(ZeroDivisionError):
        summed([1, 2], wrong, [torch.ones(1, requires_grad=True)], executor)
