"""What the device tells about itself: fixed fields, no texts of faults, the slower photo's time."""

from __future__ import annotations

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.audit import LOG_FIELDS, Journal, Metrics, Reading, Stopwatch
from daemon.records import Step


class Clock:
    """A clock that a test moves, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _written(**fields: object) -> dict[str, Any]:
    stream = io.StringIO()
    Journal(stream).write("answer", **fields)
    (line,) = _lines(stream)
    return line


def test_a_line_holds_its_event_and_when_it_was() -> None:
    line = _written(status=200)
    assert (line["event"], line["status"]) == ("answer", 200)
    assert datetime.fromisoformat(line["time_utc"]).tzinfo == timezone.utc


def test_an_unknown_field_is_dropped() -> None:
    line = _written(status=200, photo="secret", authorization="secret")
    assert set(line) == {"time_utc", "level", "event", "status"}


def test_a_field_without_a_value_is_left_out() -> None:
    assert "field" not in _written(field=None)


def test_a_value_of_zero_is_kept() -> None:
    assert _written(duration_ms=0.0)["duration_ms"] == 0.0


def test_fields_come_in_their_fixed_order() -> None:
    line = _written(**dict.fromkeys(reversed(LOG_FIELDS[3:]), 1))
    assert tuple(line) == LOG_FIELDS


def test_a_line_break_in_a_value_does_not_begin_a_line() -> None:
    stream = io.StringIO()
    Journal(stream).write("answer", reason='one\ntwo"\u2028')
    assert stream.getvalue().count("\n") == 1
    assert _lines(stream)[0]["reason"] == 'one\ntwo"\u2028'


def test_a_value_that_json_does_not_know_is_written_as_text() -> None:
    assert _written(reason=Step.OPEN.__class__)["reason"] == "<enum 'Step'>"


def _fault() -> dict[str, Any]:
    stream = io.StringIO()
    try:
        raise LookupError("the photo's secret bytes")
    except LookupError as error:
        Journal(stream).fault(error, "0" * 32)
    (line,) = _lines(stream)
    return line


def test_a_fault_never_holds_the_exception_s_text() -> None:
    assert "secret" not in json.dumps(_fault())


def test_a_fault_names_its_class_its_place_and_its_request() -> None:
    line = _fault()
    assert (line["event"], line["error"], line["request_id"]) == ("fault", "LookupError", "0" * 32)
    assert [frame.rpartition(" ")[2] for frame in line["frames"]] == ["_fault"]
    assert "test_audit.py:" in line["frames"][0]


def test_a_step_that_both_photos_take_counts_as_the_slower_one() -> None:
    clock = Clock()
    watch = Stopwatch(clock)
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        for photo, took_s in ((first, 0.03), (second, 0.05)):  # one after the other, for the clock's sake
            photo.submit(watch.run, Step.OPEN, clock.move, took_s).result()
    assert watch.steps_ms[Step.OPEN] == pytest.approx(50)


def test_a_step_that_one_photo_takes_twice_counts_with_both() -> None:
    clock = Clock()
    watch = Stopwatch(clock)
    for took_s in (0.03, 0.05):
        watch.each(Step.OPEN, clock.move)(took_s)
    assert watch.steps_ms[Step.OPEN] == pytest.approx(80)


def test_steps_come_in_the_pipeline_s_order() -> None:
    watch = Stopwatch(Clock())
    for step in (Step.CALIBRATE, Step.OPEN, Step.EMBED):
        watch.run(step, int)
    assert list(watch.steps_ms) == [Step.OPEN, Step.EMBED, Step.CALIBRATE]


def test_a_step_gives_what_its_work_gives() -> None:
    assert Stopwatch(Clock()).run(Step.COMPARE, divmod, 7, 2) == (3, 1)


def test_a_step_that_raised_is_not_kept() -> None:
    watch = Stopwatch(Clock())
    with pytest.raises(ZeroDivisionError):
        watch.run(Step.OPEN, divmod, 1, 0)
    assert watch.steps_ms == {}


def test_the_total_runs_from_when_the_watch_was_made() -> None:
    clock = Clock()
    clock.now = 100.0
    watch = Stopwatch(clock)
    clock.now = 100.25
    assert watch.total_ms == pytest.approx(250)


LABELS = ("route", "code", "status", "step", "warning")


def _samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Value by name and labels, read by Prometheus' own parser."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, ",".join(sample.labels[name] for name in LABELS if name in sample.labels)): sample.value
        for family in families
        for sample in family.samples
    }


def test_answers_are_counted_by_route_code_and_status() -> None:
    metrics = Metrics()
    for _ in range(2):
        metrics.count("/healthz", 1000, 200, Stopwatch(Clock()))
    metrics.count("none", 2000, 404, Stopwatch(Clock()))
    samples = _samples(metrics)
    assert samples["faceverifyd_answers_total", "/healthz,1000,200"] == 2
    assert samples["faceverifyd_answers_total", "none,2000,404"] == 1


def test_what_was_refused_unread_is_counted_and_not_timed() -> None:
    metrics = Metrics()
    metrics.refused("none", 1200, 411)
    samples = _samples(metrics)
    assert samples["faceverifyd_answers_total", "none,1200,411"] == 1
    assert ("faceverifyd_request_duration_seconds_count", "none") not in samples


def test_durations_are_in_seconds() -> None:
    clock = Clock()
    watch = Stopwatch(clock)
    watch.run(Step.DETECT, clock.move, 0.5)
    metrics = Metrics()
    metrics.count("/x", 1000, 200, watch)
    samples = _samples(metrics)
    assert samples["faceverifyd_request_duration_seconds_sum", "/x"] == pytest.approx(0.5)
    assert samples["faceverifyd_step_duration_seconds_sum", "detect"] == pytest.approx(0.5)


def test_what_is_read_is_told_by_its_name_and_labels() -> None:
    readings = [
        Reading("warning", "Weak.", [(("weak",), 1)], ("warning",)),
        Reading("lost_total", "Lost.", [((), 7)]),
        Reading("temperature_celsius", "Warm.", [], ("zone",)),
    ]
    metrics = Metrics(lambda: readings)
    samples = _samples(metrics)
    assert (samples["faceverifyd_warning", "weak"], samples["faceverifyd_lost_total", ""]) == (1, 7)
    assert b"# TYPE faceverifyd_lost_total counter" in metrics.exposition()
    assert b"# TYPE faceverifyd_temperature_celsius gauge" in metrics.exposition()


def test_what_is_read_is_read_anew_each_time() -> None:
    readings = [Reading("warning", "Weak.", [(("weak",), 1)], ("warning",))]
    metrics = Metrics(lambda: readings)
    readings.clear()
    assert ("faceverifyd_warning", "weak") not in _samples(metrics)


def test_every_step_is_there_before_the_first_request() -> None:
    steps = {labels for name, labels in _samples(Metrics()) if name == "faceverifyd_step_duration_seconds_count"}
    assert steps == {step.value for step in Step}


def test_waits_are_counted_in_seconds() -> None:
    metrics = Metrics()
    metrics.waited(0.5)
    assert _samples(metrics)["faceverifyd_queue_wait_seconds_sum", ""] == 0.5


def test_a_series_is_told_once_without_when_it_was_made() -> None:
    metrics = Metrics()
    metrics.count("/x", 1000, 200, Stopwatch(Clock()))
    assert b"_created" not in metrics.exposition()


def test_this_process_is_measured_too() -> None:
    assert _samples(Metrics())["process_resident_memory_bytes", ""] > 1 << 20


@pytest.mark.parametrize(("event", "level"), [("answer", "info"), ("warning", "warning"), ("fault", "error")])
def test_a_line_has_the_level_that_its_event_is_of(event: str, level: str) -> None:
    stream = io.StringIO()
    Journal(stream).write(event)
    assert _lines(stream)[0]["level"] == level


def test_two_devices_metrics_do_not_mix() -> None:
    counted, fresh = Metrics(), Metrics()
    counted.count("/x", 1000, 200, Stopwatch(Clock()))
    assert ("faceverifyd_answers_total", "/x,1000,200") not in _samples(fresh)


def test_a_line_that_cannot_be_written_is_lost_and_counted() -> None:
    with open("/dev/full", "w", buffering=1) as full:
        journal = Journal(full)
        journal.write("answer")
        journal.write("answer")
        assert journal.lost == 2
        with suppress(OSError):
            full.close()


def test_a_reader_that_is_stuck_holds_up_no_writer() -> None:
    out, into = os.pipe()
    with os.fdopen(into, "w") as stream, os.fdopen(out, "rb"):
        os.set_blocking(into, False)
        with suppress(BlockingIOError):
            while True:
                os.write(into, b"x" * 4096)
        os.set_blocking(into, True)  # from now on, a write would wait for ever
        journal = Journal(stream)
        for _ in range(3):
            journal.write("answer")
        assert journal.lost == 3


def test_lines_are_written_again_once_the_reader_reads() -> None:
    out, into = os.pipe()
    with os.fdopen(into, "w") as stream, os.fdopen(out, "rb") as reader:
        os.set_blocking(into, False)
        with suppress(BlockingIOError):
            while True:
                os.write(into, b"x" * 4096)
        os.set_blocking(into, True)
        journal = Journal(stream)
        journal.write("answer")
        reader.read(65536)
        journal.write("warning")
        assert journal.lost == 1
        stream.close()
        assert [json.loads(line)["event"] for line in reader.read().splitlines() if line] == ["warning"]
