"""Log-ins: whoever guesses waits, and the owner does not."""

import threading
from typing import Any

import pytest

from recommender.services.errors import TooMany
from recommender.services.screening import log_ins

PUBLIC = {"REMOTE_ADDR": "8.8.4.4"}


def test_guessing_one_account_from_one_address_waits(guard: Any, clock: Any) -> None:
    guard(limits={"pair_log_ins": {"hard": 3}, "pair_log_ins_day": {"hard": 6}})
    for _ in range(3):
        log_ins.start("Anna", PUBLIC, {}).ended(well=False)
    for _ in range(20):  # tries that are refused do not make the wait longer
        with pytest.raises(TooMany) as refused:
            log_ins.start("anna", PUBLIC, {})
    assert refused.value.retry_after_s <= 600
    log_ins.start("ben", PUBLIC, {})
    clock(900)
    for _ in range(3):
        log_ins.start("anna", PUBLIC, {}).ended(well=False)
    clock(1800)
    with pytest.raises(TooMany) as refused:  # the second limit: waits grow
        log_ins.start("anna", PUBLIC, {})
    assert refused.value.retry_after_s > 3600


def test_right_passwords_use_nothing_up(guard: Any) -> None:
    guard(limits={"pair_log_ins": {"hard": 3}, "account_log_ins": {"hard": 3}, "client_log_ins": {"hard": 3}})
    for _ in range(12):
        assert log_ins.start("anna", PUBLIC, {}).ended(well=True)["key"] == log_ins.COOKIE


def test_an_owner_is_not_locked_out_by_guesses_from_everywhere(guard: Any) -> None:
    guard(limits={"account_log_ins": {"hard": 5}})
    cookie = {log_ins.COOKIE: log_ins.start("anna", PUBLIC, {}).ended(well=True)["value"]}
    for n in range(5):
        log_ins.start("anna", {"REMOTE_ADDR": f"8.8.{n}.1"}, {}).ended(well=False)
    with pytest.raises(TooMany):
        log_ins.start("anna", {"REMOTE_ADDR": "8.8.9.1"}, {})
    log_ins.start("ANNA", {"REMOTE_ADDR": "8.8.9.1"}, cookie)
    with pytest.raises(TooMany):  # which opens no other account
        for _ in range(7):
            log_ins.start("ben", {"REMOTE_ADDR": "8.8.9.1"}, cookie)


def test_a_stolen_browser_may_not_guess_for_ever(guard: Any) -> None:
    guard(limits={"pair_log_ins": {"hard": 2}})
    cookie = {log_ins.COOKIE: log_ins.start("anna", PUBLIC, {}).ended(well=True)["value"]}
    with pytest.raises(TooMany):
        for n in range(4):
            log_ins.start("anna", {"REMOTE_ADDR": f"8.8.{n}.1"}, cookie).ended(well=False)


def test_trying_many_names_meets_the_client_s_limit(guard: Any) -> None:
    guard(limits={"client_log_ins": {"hard": 4}})
    with pytest.raises(TooMany):
        for n in range(5):
            log_ins.start(f"name-{n}", PUBLIC, {}).ended(well=False)


@pytest.mark.parametrize("cookie", ["", "x", "a:b:c", ":", "\x00", "é" * 5000, "W10:1:2"])
@pytest.mark.parametrize("name", ["", "x" * 100_000, "\ud800", "ﬁ\x00\n", "名前"])
def test_odd_names_and_cookies(cookie: str, name: str) -> None:
    assert log_ins.start(name, {"REMOTE_ADDR": "nonsense"}, {log_ins.COOKIE: cookie}).client == ""


def test_a_thousand_tries_at_once_are_not_one(guard: Any) -> None:
    guard(limits={"pair_log_ins": {"hard": 5}})
    let_in: list[int] = []

    def guess() -> None:
        for _ in range(20):
            try:
                log_ins.start("anna", PUBLIC, {})
            except TooMany:
                continue
            let_in.append(1)

    threads = [threading.Thread(target=guess) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 5 <= len(let_in) <= 9  # what was refused is taken back with the next try, which may be let in for it
