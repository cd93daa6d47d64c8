from datetime import timedelta

from proxy.callers.report.budget import Budget
from proxy.callers.report.jobs import JobName, Jobs
from tests.callers.lines import DAY, NOW

BUILD, BOOKS = (JobName("trigger", "acme/shop", workflow) for workflow in ("build", "books"))
TODAY = NOW.toordinal()


def test_each_job_has_its_own_days_and_last_call() -> None:
    jobs = Jobs(Budget(10_000))
    jobs.add(BUILD, [TODAY, TODAY - 2], NOW)
    jobs.add(BOOKS, [TODAY - 31], NOW - 31 * DAY)
    jobs.add(BUILD, [TODAY - 1], NOW - DAY)

    days = {name: (job.days.bit_count(), job.last_seen) for name, job, _ in jobs.rhythms()}
    assert days == {BUILD: (3, NOW), BOOKS: (1, NOW - 31 * DAY)}


def test_merged_jobs_are_the_same_as_added_ones() -> None:
    one, other, both = (Jobs(Budget(10_000)) for _ in range(3))
    for jobs in (one, both):
        jobs.add(BUILD, [TODAY], NOW)
        jobs.add(None, [TODAY - 9], NOW - 9 * DAY)
    for jobs in (other, both):
        jobs.add(BUILD, [TODAY - 1], NOW + timedelta(hours=1))
        jobs.add(BOOKS, [TODAY - 2], NOW - 2 * DAY)
        jobs.add(None, [TODAY - 5], NOW - 5 * DAY)
    one.merge(other)

    assert [(name, job.days, job.last_seen) for name, job, _ in one.rhythms()] == [
        (name, job.days, job.last_seen) for name, job, _ in both.rhythms()
    ]


def test_names_that_are_too_long_for_what_is_left_are_not_told_apart() -> None:
    jobs = Jobs(Budget(150))
    jobs.add(BUILD, [TODAY], NOW)
    jobs.add(JobName("trigger", "acme/shop", "x" * 9999), [TODAY], NOW)

    assert [name for name, _, _ in jobs.rhythms()] == [BUILD, None]


def test_a_job_says_what_it_is() -> None:
    assert str(BUILD) == "trigger of build in acme/shop"
    assert str(JobName("list_runs", "acme/shop", None)) == "list_runs in acme/shop"
