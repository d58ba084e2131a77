"""profile.proto byte by byte, and a large profile made of it."""


def varint(value):
    value &= (1 << 64) - 1
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def number(field, value):
    return varint(field << 3) + varint(value)


def part(field, *inside):
    data = b"".join(inside)
    return varint(field << 3 | 2) + varint(len(data)) + data


def labelled_goroutines(count):
    """A goroutine profile of ``count`` goroutines with labels of their own, on 50 stacks of 20 frames."""
    strings = ["", "goroutine", "count", "request", "tenant", *(f"main.f{n}" for n in range(200))]
    strings += [f"r{n}" for n in range(count)]
    functions = b"".join(part(5, number(1, n), number(2, n + 4), number(3, n + 4)) for n in range(1, 201))
    places = b"".join(part(4, number(1, n), number(3, n), part(4, number(1, n), number(2, n))) for n in range(1, 201))
    stacks = [part(1, *(varint((n * 7 + k * 3) % 200 + 1) for k in range(20))) for n in range(50)]
    tenants = [part(3, number(1, 4), number(2, n + 5)) for n in range(9)]
    samples = b"".join(
        part(2, stacks[n % 50], number(2, 1), part(3, number(1, 3), number(2, 205 + n)), tenants[n % 9])
        for n in range(count)
    )
    table = b"".join(part(6, text.encode()) for text in strings)
    return part(1, number(1, 1), number(2, 2)) + samples + places + functions + table
