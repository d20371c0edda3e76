"""The rules of target health, without a network."""

from cloud_worlds import CHECK, TG, world
from hypothesis import given
from hypothesis import strategies as st

from turnout.cloud.health import Answer, HealthBook, Target, matches, observe, serving
from turnout.cloud.world import Check

OK, BAD, LATE, GONE = Answer(200), Answer(503), Answer(error="timeout"), Answer(error="connection")
ANSWERS = st.sampled_from([OK, BAD, LATE, GONE])


def after(*answers: Answer, check: Check = CHECK) -> Target:
    target = Target.registered()
    for answer in answers:
        target = observe(target, answer, check)
    return target


def test_a_new_target_is_healthy_after_one_success_even_with_a_higher_threshold() -> None:
    assert after().reason == "Elb.RegistrationInProgress"
    assert after(OK) == Target("healthy", successes=1)
    assert after(BAD, OK).state == "healthy"


def test_a_new_target_that_fails_is_initial_until_the_threshold() -> None:
    assert (after(BAD).state, after(BAD).reason) == ("initial", "Elb.InitialHealthChecking")
    assert after(BAD, BAD).state == "unhealthy"


def test_the_last_failure_names_the_reason() -> None:
    assert (after(GONE, BAD).reason, after(GONE, BAD).description) == (
        "Target.ResponseCodeMismatch",
        "Health checks failed with these codes: [503]",
    )
    assert after(BAD, LATE).reason == "Target.Timeout"
    assert after(BAD, GONE).reason == "Target.FailedHealthChecks"
    assert after(BAD, BAD, LATE).reason == "Target.Timeout"


def test_only_failures_in_a_row_make_a_healthy_target_unhealthy() -> None:
    assert after(OK, BAD, OK, BAD).state == "healthy"
    assert after(OK, BAD, BAD).state == "unhealthy"


def test_only_successes_in_a_row_make_an_unhealthy_target_healthy() -> None:
    assert after(BAD, BAD, OK, OK, BAD, OK, OK).state == "unhealthy"
    assert after(BAD, BAD, OK, OK, OK).state == "healthy"


@given(st.lists(ANSWERS, max_size=12), st.integers(2, 5), st.integers(2, 5))
def test_the_state_is_what_the_last_run_of_equal_results_says(answers: list[Answer], up: int, down: int) -> None:
    check = Check("/", 5, 2, up, down, "200")
    target, run, last = after(*answers, check=check), 0, None
    for answer in answers:
        run, last = (run + 1, last) if (answer == OK) == last else (1, answer == OK)
    if last is False and run >= down:
        assert target.state == "unhealthy"
    if last is True and run >= up:
        assert target.state == "healthy"
    if target.state == "healthy":
        assert target.reason is None
    else:
        assert target.reason is not None
        assert last is False or run < up


@given(st.sampled_from([Target.unused(), Target.draining(), Target.stopped()]), ANSWERS)
def test_unused_and_draining_targets_do_not_become_healthy(target: Target, answer: Answer) -> None:
    assert observe(target, answer, CHECK) == target


def test_matchers_take_codes_lists_and_ranges() -> None:
    assert matches("200", 200)
    assert matches("200,204", 204)
    assert matches("200-299", 250)
    assert not matches("200-299,404", 300)
    assert not matches("", 200)


@given(st.dictionaries(st.text("abc", min_size=1), st.sampled_from(["unused", "initial", "healthy", "unhealthy", "draining"])))
def test_serving_follows_an_albs_fail_open(states: dict[str, str]) -> None:
    chosen = serving(states)
    kinds = set(states.values())
    assert {states[name] for name in chosen} <= {"initial", "healthy", "unhealthy"}
    if "healthy" in kinds:
        assert chosen == {name for name, state in states.items() if state == "healthy"}
    elif "unhealthy" in kinds:
        assert chosen == {name for name, state in states.items() if state in ("unhealthy", "initial")}
    else:
        assert not chosen


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def book_with(*answers: Answer, speed: float = 1.0) -> tuple[HealthBook, Clock]:
    clock = Clock()
    book = HealthBook(clock, speed)
    book.sync(world("i-1"))
    for answer in answers:
        book.record((TG, "i-1"), answer, CHECK)
    return book, clock


def state(book: HealthBook, name: str = "i-1") -> str | None:
    target = book.of_group(TG).get(name)
    return None if target is None else target.state


def test_weight_0_counts_as_used_and_a_group_that_is_taken_up_begins_again() -> None:
    book, _ = book_with(OK)
    book.sync(world("i-1", used=False))
    assert state(book) == "unused"
    book.sync(world("i-1"))
    assert state(book) == "initial"


def test_a_deregistered_target_drains_until_two_quiet_readings() -> None:
    book, _ = book_with(OK)
    book.sync(world())
    assert state(book) == "draining"
    key = (TG, "i-1")
    for in_flight, over in ((1, False), (0, False), (1, False), (0, False), (0, True)):
        assert book.progress({key: in_flight}) is over
    assert state(book) is None
    assert not book.is_held("i-1")


def test_a_drain_whose_requests_cannot_be_read_ends_by_the_delay() -> None:
    book, clock = book_with(OK, speed=2)
    book.sync(world(delay=30))
    clock.now += 14
    assert not book.progress({})
    clock.now += 1
    assert book.progress({})


def test_syncing_again_does_not_prolong_a_drain() -> None:
    book, clock = book_with(OK)
    book.sync(world(delay=30))
    clock.now += 20
    book.sync(world(delay=30))
    clock.now += 10
    assert book.progress({(TG, "i-1"): 5})


def test_a_target_that_comes_back_while_it_drains_begins_again() -> None:
    book, _ = book_with(OK)
    book.sync(world())
    book.sync(world("i-1"))
    assert state(book) == "initial"
    assert not book.draining()


def test_an_unused_target_leaves_without_a_drain() -> None:
    clock = Clock()
    book = HealthBook(clock)
    book.sync(world("i-1", used=False))
    book.sync(world(used=False))
    assert state(book) is None


def test_a_stopped_instance_is_unused() -> None:
    book, _ = book_with(OK)
    book.sync(world("i-1", stopped=frozenset({"i-1"})))
    assert book.of_group(TG)["i-1"].reason == "Target.InvalidState"


def test_record_tells_whether_the_state_changed() -> None:
    book, _ = book_with()
    key = (TG, "i-1")
    assert [book.record(key, answer, CHECK) for answer in (BAD, OK, OK, BAD, BAD)] == [False, True, False, False, True]
    assert not book.record((TG, "i-2"), OK, CHECK)
