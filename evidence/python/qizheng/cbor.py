"""Strict deterministic CBOR (SPEC §1): decode, encode again, compare; then match against a shape.

A shape is a function ``value -> value`` that raises `Malformed`. Maps with integer keys become
`Members`, whose attributes are named by the shape.
"""

import cbor2

U64 = 2**64 - 1
U32 = 2**32 - 1


class Malformed(Exception):
    """These bytes are not an instance of the format."""


class Members:
    """The members of a map; absent optional ones are None."""

    def __init__(self, values):
        self.__dict__.update(values)


def decode(data, shape, limit=None):
    """The one value that `data` encodes, in the given shape."""
    if limit is not None and len(data) > limit:
        raise Malformed(f"{len(data)} bytes, at most {limit} are read")
    try:
        value = cbor2.loads(data)
        again = cbor2.dumps(value, canonical=True)
    except Exception as error:  # whatever the library says about foreign bytes
        raise Malformed(f"not CBOR: {error}") from error
    if again != data:
        raise Malformed("not the one canonical encoding")
    return shape(value)


def uint(most=U64, least=0):
    def check(value):
        if type(value) is not int or not least <= value <= most:
            raise Malformed(f"{value!r} is no integer of {least} to {most}")
        return value

    return check


def text(value):
    if type(value) is not str:
        raise Malformed("no text")
    return value


def bstr(size=None):
    def check(value):
        if type(value) is not bytes or (size is not None and len(value) != size):
            raise Malformed(f"no byte string of {size or 'any'} bytes")
        return value

    return check


def boolean(value):
    if type(value) is not bool:
        raise Malformed("no boolean")
    return value


def one_of(numbers):
    def check(value):
        if type(value) is not int or value not in numbers:
            raise Malformed(f"{value!r} is none of {sorted(numbers)}")
        return value

    return check


def array(shape, most=None, least=0):
    def check(value):
        if type(value) is not list or len(value) < least or (most is not None and len(value) > most):
            raise Malformed("no array of the allowed length")
        return [shape(item) for item in value]

    return check


def members(*fields, tag=None):
    """A map: fields are (key, name, shape); a name ending in `?` is optional. `tag` is key 0's text."""
    known = {key: (name.rstrip("?"), shape, name.endswith("?")) for key, name, shape in fields}

    def check(value):
        if type(value) is not dict or any(type(key) is not int for key in value):
            raise Malformed("no map with integer keys")
        rest = dict(value)
        if tag is not None and rest.pop(0, None) != tag:
            raise Malformed(f"not tagged {tag}")
        found = {}
        for key, (name, shape, optional) in known.items():
            if key in rest:
                found[name] = shape(rest.pop(key))
            elif optional:
                found[name] = None
            else:
                raise Malformed(f"member {name} is missing")
        if rest:
            raise Malformed(f"unknown members {sorted(rest)}")
        return Members(found)

    return check


def choice(shapes):
    """`[number, [fields…]]`: {number: (name, [(field name, shape)])}; gives Members with `number`, `name`."""

    def check(value):
        if type(value) is not list or len(value) != 2 or type(value[0]) is not int or type(value[1]) is not list:
            raise Malformed("no choice with fields")
        number, fields = value
        if number not in shapes:
            raise Malformed(f"unknown choice {number}")
        name, expected = shapes[number]
        if len(fields) != len(expected):
            raise Malformed(f"{name} has {len(expected)} fields")
        found = {field: shape(item) for (field, shape), item in zip(expected, fields)}
        return Members({"number": number, "name": name, **found})

    return check
