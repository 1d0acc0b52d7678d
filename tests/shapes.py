"""`jaxtyping.jaxtyped` at a third of its price: the same checks, each made once a call.

pytest's plugin asks jaxtyping for it, by its name, for every function of tabkit. The library's own
checks all parameters a second time when it checks what is returned, and binds a call to the
signature before it makes the call.
"""

import dataclasses
import inspect
from functools import partial, wraps

import jaxtyping
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

PLAIN = jaxtyping.jaxtyped


def once(function=None, *, typechecker):
    """The function, or the dataclass, whose shapes agree within each call."""
    if function is None:
        return partial(once, typechecker=typechecker)
    if inspect.isclass(function):
        if dataclasses.is_dataclass(function):
            function.__init__ = once(function.__init__, typechecker=typechecker)
        return function
    if inspect.isgeneratorfunction(function):  # whose parameters are checked before it is asked
        return PLAIN(function, typechecker=typechecker)
    checked = typechecker(function)

    @wraps(function)
    def wrapped(*args, **kwargs):
        try:
            with PLAIN("context"):
                return checked(*args, **kwargs)
        except BeartypeCallHintViolation as error:
            bound = inspect.signature(function).bind(*args, **kwargs).arguments
            given = ", ".join(dict.fromkeys([*bound, *kwargs]))
            raise TypeCheckError(f"{error} It was called with {given}.") from error

    # Who looks up the stack for the caller passes over jaxtyping's frames: over these, too.
    file = PLAIN.__code__.co_filename
    wrapped.__code__ = wrapped.__code__.replace(co_filename=file)
    return wrapped


jaxtyping.jaxtyped = once
