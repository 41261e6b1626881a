import numpy as np

from recommender.engine.grouping.names import Terms, group_names, of_labels

SEA = ["Sea", "harbour", "Prints"]
HILL = ["hills", "Prints"]


def test_groups_are_called_by_what_others_have_not():
    terms = Terms([SEA] * 5 + [HILL] * 6)
    assert of_labels(np.array([0] * 5 + [1] * 6, np.int32), terms) == ["Harbour, Sea", "Hills"]


def test_what_everything_has_names_nothing_unless_there_is_nothing_else():
    terms = Terms([["Prints"]] * 4)
    assert of_labels(np.zeros(4, np.int32), terms) == ["Prints"]


def test_a_term_is_the_same_whatever_its_case_and_spelled_as_it_is_most_often():
    terms = Terms([["Jazz"], ["Jazz"], ["jazz"]])
    assert terms.words == ["Jazz"]
    assert terms.matrix.sum() == 3


def test_what_only_one_item_has_and_what_is_said_twice_is_left_out():
    terms = Terms([["op-art", "Op art", "lines", "once"], ["op-art", "Op art", "lines"], ["other"], ["other"]])
    assert of_labels(np.array([0, 0, 1, 1], np.int32), terms)[0] in ("Lines, Op art", "Lines, op-art")


def test_no_two_groups_have_one_name_and_none_has_none():
    terms = Terms([["blue"]] * 4 + [[]] * 2)
    names = of_labels(np.array([0, 0, 1, 1, 2, 2], np.int32), terms, "Shoppers")
    assert names == ["Blue", "Shoppers 2", "Shoppers 3"]
    assert of_labels(np.full(6, -1, np.int32), terms) == []
    assert of_labels(np.zeros(0, np.int32), Terms([])) == []


def test_weights_tell_how_much_an_item_counts():
    terms = Terms([["sea"], ["sea"], ["hill"], ["hill"], [], [], []])
    assert group_names(np.array([[9, 9, 1, 1, 0, 0, 0], [1, 1, 9, 9, 0, 0, 0]]), terms) == ["Sea, hill", "Hill, sea"]
