"""Holds recorded exchanges to the types of the provider's own SDK.

Reads {"requests": [...], "replies": [...]} from stdin; prints what does not fit, one line each.
"""

import json
import sys
from collections.abc import Iterator, Mapping

from anthropic.types import Message
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import BaseModel, ValidationError


class Request(BaseModel, extra="forbid"):
    """A field that the SDK does not know is a mistake, too."""

    body: MessageCreateParamsNonStreaming


class Reply(BaseModel):
    body: Message


def read_to_the_end(value: object) -> None:
    """Lists are checked while they are read."""
    if isinstance(value, BaseModel):
        value = [item for _, item in value]
    elif isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (list, tuple, Iterator)):
        return
    for item in value:
        read_to_the_end(item)


def check(what: str, kind: type[BaseModel], value: object) -> None:
    try:
        read_to_the_end(kind(body=value))
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            print(f"{what}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}")


exchanges = json.load(sys.stdin)
for number, request in enumerate(exchanges["requests"]):
    check(f"request {number}", Request, request)
for number, reply in enumerate(exchanges["replies"]):
    check(f"reply {number}", Reply, reply)
