from proxy.scan.finding import Confidence, Hit
from proxy.scan.fix.change import Change, Cover, Edit, edits_of, overlap, splice

FIRST, SECOND, INSERTED = Edit(0, 2, "x"), Edit(2, 3, ""), Edit(5, 5, "!")


def test_edits_of_several_changes_are_made_in_the_order_of_the_text_and_each_once() -> None:
    changes = [Change((INSERTED, SECOND)), Change((FIRST, INSERTED))]
    assert splice("abcde", edits_of(changes)) == "xde!"


def test_edits_of_the_same_place_overlap_and_neighbours_do_not() -> None:
    assert not overlap([FIRST, SECOND, INSERTED])
    assert overlap([FIRST, Edit(1, 3, "")])


def test_a_change_covers_what_is_whole_in_one_of_its_edits() -> None:
    hit = Hit(1, 3, "trigger", "POST", "", Confidence.CERTAIN)
    whole, parts = Change((Edit(0, 3, ""),)), Change((FIRST, SECOND, Edit(1, 1, "")))
    assert (Cover([whole]).of(hit), Cover([parts]).of(hit), Cover([]).of(hit)) == (whole, None, None)
    assert Cover([Change((Edit(2, 9, ""),))]).of(hit) is None
