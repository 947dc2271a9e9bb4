"""The errors that a run ends or a step fails with when the server, not user code, is their source.

Each is the JSON text of an object `{name, message}` as SDKs write theirs, so that a person and an SDK read it alike.
"""

from __future__ import annotations

import orjson


def error_text(name: str, message: str) -> str:
    """JSON text of an error in the SDKs' shape."""
    return orjson.dumps({"name": name, "message": message}).decode()


def function_not_registered(function: str) -> str:
    return error_text(
        "FunctionNotRegistered", f"could not find function with ID: {function}; sync the app that serves it and rerun"
    )


def run_cancelled(reason: str) -> str:
    return error_text("Cancelled", reason or "the run was cancelled")


def too_many_steps(limit: int) -> str:
    return error_text(
        "InngestErrFunctionOverflowed",
        f"The function run exceeded the step limit of {limit} steps; split it, or loop in an invoked function",
    )


def state_too_large(limit: int) -> str:
    return error_text(
        "InngestErrStateOverflowed",
        f"The function run exceeded the state size limit of {limit} bytes; return less, or references, from steps",
    )


def unknown_opcode(op: str) -> str:
    return error_text(
        "UnsupportedOpcode",
        f"the app asked for {op[:100]!r}, which this server does not know; upgrade the server, or use another step",
    )


def targeted_step_missing(step: str) -> str:
    return error_text(
        "StepNotFound",
        f"the app was called to run step {step} and answered without running it; was the code deployed in between?",
    )


def no_progress() -> str:
    return error_text(
        "NoProgress", "the app answered without a result or a next step, and nothing else of the run is under way"
    )


def cancelled_by_event(event: str, event_id: str) -> str:
    return error_text("Cancelled", f"the run was cancelled by the event {event} ({event_id})")


def signal_taken(signal: str, run: str) -> str:
    return error_text(
        "SignalConflict",
        f"run {run} waits for the signal {signal!r} already; wait with the conflict rule `replace`, or another name",
    )


def server_failed(reason: str) -> str:
    return error_text(
        "ServerFailed",
        f"the server failed on the app's answer, which is a fault of the server; report it: {reason[:500]}",
    )


def function_not_found(function: str) -> str:
    return error_text(
        "Error", f"could not find function with ID: {function[:300]}; sync the app that serves it, or correct the id"
    )


def invocation_timed_out() -> str:
    name, message = "InngestInvokeTimeoutError", "Timed out waiting for invoked function to complete"
    return orjson.dumps({"name": name, "message": message, "error": f"{name}: {message}"}).decode()


def invoked_run_cancelled(run: str, status: str) -> str:
    return error_text("InvokedRunCancelled", f"the invoked run {run} did not complete: it ended as {status}")
