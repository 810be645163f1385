"""Tables: a CSV file or an `.npz` file as named columns, with every cell's place in the file known."""

import csv
import gzip
import io
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import dropwhile, islice
from math import isinf, isnan, nan
from pathlib import Path
from typing import TypeAlias

from ..backends import Array
from ..backends.host import host

__all__ = ["Table", "TableError", "read_csv", "read_npz", "read_table"]

Column: TypeAlias = "Sequence[str] | Array"

MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "?"})
"""What a missing cell holds, in small letters; `None`, but not the word `none`, is another."""

_SEPARATORS = re.compile(r"[,' \u00a0\u202f](?=\d{3}(?!\d))")
_NEARLY_NUMBERS = {
    "a percent sign": re.compile(r"[+-]?\d[\d.,]* ?%"),
    "a currency sign": re.compile(r"[+-]?[$€£¥₹] ?[+-]?\d[\d.,]*|[+-]?\d[\d.,]* ?[$€£¥₹]"),
    "thousands separators": re.compile(r"[+-]?[1-9]\d{0,2}([,' \u00a0\u202f]\d{3})+(\.\d+)?"),
    "a decimal comma": re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+"),
}
_DOTTED = re.compile(r"[+-]?\d{1,3}\.\d{3}")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


class TableError(ValueError):
    """A table that cannot be used; the message names the file and, where it can, the line and column."""


class Table:
    """Named columns of equal length, from a file.

    source: the file's name, for messages.
    columns: by name, the cells as text, or a host array of numbers.
    lines: the file's line number of each row; None for a file that has rows but no lines.
    positional: whether the names were made up, so that only their order tells the columns apart.
    uniform: whether all columns but the target measure the same thing, as the pixels of an image do.
    decimal_comma: whether a column of cells such as 5,1 holds numbers.

    >>> table = Table("pets.csv", {"legs": ["4", "2"], "name": ["cat", "hen"]}, lines=[2, 3])
    >>> len(table), table.numbers("legs").tolist(), table.is_text("name")
    (2, [4.0, 2.0], True)
    """

    def __init__(
        self,
        source: str,
        columns: Mapping[str, Column],
        *,
        lines: Sequence[int] | None = None,
        positional: bool = False,
        uniform: bool = False,
        decimal_comma: bool = False,
    ) -> None:
        self.source = source
        self.columns = dict(columns)
        self.lines = lines
        self.positional = positional
        self.uniform = uniform
        self.decimal_comma = decimal_comma
        self._parsed: dict[str, tuple[Array, list[int]]] = {}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __repr__(self) -> str:
        return f"Table({self.source!r}, {len(self):,} rows, {len(self.columns):,} columns)"

    def error(self, problem: str, *, row: int | None = None, column: str | None = None) -> TableError:
        """The error that says where in the file a problem is."""
        place = [self.source]
        if row is not None:
            place.append(f"row {row}" if self.lines is None else f"line {self.lines[row]}")
        if column is not None:
            place.append(f"column {column!r}")
        return TableError(f"{', '.join(place)}: {problem}")

    def column(self, name: str) -> Column:
        """The cells of a column. Raises TableError, with the nearest name, where there is none."""
        if name in self.columns:
            return self.columns[name]
        small = {known.lower(): known for known in self.columns}
        near = get_close_matches(name.lower(), small, n=1, cutoff=0.5)
        listed = ", ".join(list(self.columns)[:12]) + (", ..." if len(self.columns) > 12 else "")
        hint = f"did you mean {small[near[0]]!r}?" if near else f"it has {listed}"
        raise TableError(f"{self.source} has no column {name!r}; {hint}")

    def missing(self, name: str) -> list[bool]:
        """For each row, whether its cell in the column is missing."""
        cells = self.column(name)
        if isinstance(cells, host.ndarray):
            return [False] * len(cells) if cells.dtype.kind != "f" else host.isnan(cells).tolist()
        return [_is_missing(cell) for cell in cells]

    def is_text(self, name: str) -> bool:
        """Whether the cells of a column are words and not numbers. Raises TableError where they are both."""
        _, words = self._parse(name)
        if not words:
            return False
        cells, missing, wordy = self.column(name), self.missing(name), set(words)
        numbers = [row for row in range(len(self)) if row not in wordy and not missing[row]]
        if not numbers:
            return True
        if len(words) <= len(numbers):
            row, what = words[0], "is no number, but other cells of the column are"
        else:
            row, what = numbers[0], "is a number, but other cells of the column are words"
        raise self.error(f"{cells[row]!r} {what}; make them all one or the other", row=row, column=name)

    def numbers(self, name: str) -> Array:
        """A column as float64, NaN where a cell is missing. Raises TableError at words and infinities."""
        values, words = self._parse(name)
        if words:
            raise self.error(f"{self.column(name)[words[0]]!r} is no number", row=words[0], column=name)
        infinite = host.flatnonzero(host.isinf(values))
        if infinite.size:
            raise self.error("the value is infinite; correct it, or leave it empty", row=int(infinite[0]), column=name)
        return values

    def _refuse_nearly_numbers(self, name: str, words: Sequence[int]) -> None:
        """Raise TableError where most words of a column are numbers as people write them."""
        cells = self.column(name)
        found = {row: sign for row in words for sign, form in _NEARLY_NUMBERS.items() if form.fullmatch(cells[row])}
        if 2 * len(found) > len(words):
            row, cell = min(found), cells[min(found)]
            sign = next(sign for sign, form in _NEARLY_NUMBERS.items() if form.fullmatch(cell))
            problem = f"{cell!r} looks like a number with {sign}; write {_plain_number(cell)}"
            raise self.error(problem, row=row, column=name)

    def _parse(self, name: str) -> tuple[Array, list[int]]:
        """The cells as float64, and the rows that hold words."""
        cells = self.column(name)
        if isinstance(cells, host.ndarray):
            return cells.astype(host.float64), []
        if name not in self._parsed:
            values = [_number(cell) for cell in cells]
            words = [row for row, value in enumerate(values) if value is None]
            if self.decimal_comma and 2 * sum(bool(_DECIMAL_COMMA.fullmatch(cells[row])) for row in words) > len(words):
                # Beside decimal commas, the point of 1.234 may part thousands.
                values = [None if _DOTTED.fullmatch(cell) else _number(cell.replace(",", ".", 1)) for cell in cells]
                words = [row for row, value in enumerate(values) if value is None]
            self._refuse_nearly_numbers(name, words)
            plain = [nan if value is None else value for value in values]
            self._parsed[name] = host.asarray(plain, dtype=host.float64), words
        return self._parsed[name]


def _plain_number(cell: str) -> str:
    """How a cell that is nearly a number is to be written."""
    bare = re.sub(r"[%$€£¥₹]", "", cell).strip()
    if _NEARLY_NUMBERS["thousands separators"].fullmatch(bare):
        return _SEPARATORS.sub("", bare)
    if _NEARLY_NUMBERS["a decimal comma"].fullmatch(bare):
        return bare.replace(".", "").replace(",", ".")
    return bare


def _is_missing(cell: str) -> bool:
    return cell == "None" or cell.lower() in MISSING


def _number(cell: str) -> float | None:
    """A cell's number: NaN where it is missing, None where it is a word."""
    if _is_missing(cell):
        return nan
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def read_table(path: str | os.PathLike[str]) -> Table:
    """A table from an `.npz` file or, with any other ending, from text. See `read_npz` and `read_csv`."""
    return read_npz(path) if Path(path).suffix.lower() == ".npz" else read_csv(path)


def read_csv(path: str | os.PathLike[str], *, delimiter: str | None = None) -> Table:
    """A table from delimited text with a header line, in UTF-8; packed with gzip when the name ends in `.gz`.

    delimiter: one character; by default the one of comma, semicolon, tab, bar and space that parts the header
        and the first row into the same number of cells, and the most of them. With semicolons, numbers may
        have a decimal comma.
    Columns whose header cell is empty, as spreadsheets and indexes leave them, are left out.
    Raises TableError for what is no such text, naming the line; OSError where the file cannot be read.
    """
    path, source = Path(path), Path(path).name
    try:
        data = path.read_bytes()  # once, for a pipe gives them no second time
        text = (gzip.decompress(data) if path.suffix.lower() == ".gz" else data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise TableError(f"{source} is not text in UTF-8 (it holds the byte {byte:#04x}); save it as UTF-8") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TableError(f"{source} is no gzip file, or damaged ({error})") from None
    delimiter = delimiter or _find_delimiter(source, list(islice(io.StringIO(text, newline=""), 50)))
    records = _records(source, io.StringIO(text, newline=""), delimiter)
    return _from_records(source, records, decimal_comma=delimiter == ";")


def _find_delimiter(source: str, start: Sequence[str]) -> str:
    best, most = ",", (False, 1)
    for delimiter in (",", ";", "\t", "|", " "):
        try:
            lengths = [len(cells) for _, cells in islice(_records(source, iter(start), delimiter), 2)]
        except TableError:
            continue
        found = (len(set(lengths)) == 1, lengths[0]) if lengths else most
        if found[1] > 1 and found > most:
            best, most = delimiter, found
    return best


def _records(source: str, lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, stripped, with the number of the line it starts on."""
    spaced = delimiter == " "  # then runs of spaces are one delimiter
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=not spaced, strict=True)
    line = 1
    try:
        for record in reader:
            cells = [cell.strip() for cell in record if cell or not spaced]
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(f"{source}, line {line}: {error}; check its quotation marks") from None


def _from_records(source: str, records: Iterator[tuple[int, list[str]]], *, decimal_comma: bool) -> Table:
    line, header = next(dropwhile(lambda record: not any(record[1]), records), (0, []))
    if not header:
        raise TableError(f"{source} is empty; a table has a header line and then rows")
    _check_header(source, line, header)
    lines, rows = [], []
    for line, cells in records:
        if cells == [""] and len(header) > 1:
            continue
        if len(cells) != len(header):
            raise TableError(f"{source}, line {line}: {_count(len(cells), 'cell')} where the header has {len(header)}")
        lines.append(line)
        rows.append(cells)
    if not rows:
        raise TableError(f"{source} has a header and no rows")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    columns.pop("", None)
    return Table(source, columns, lines=lines, decimal_comma=decimal_comma)


def _check_header(source: str, line: int, header: Sequence[str]) -> None:
    named = [name for name in header if name]
    twice = next((name for name in named if named.count(name) > 1), None)
    numbers = [_number(name) for name in named]
    if not named or all(x is not None and not isnan(x) for x in numbers):
        whole = all(x is not None and not isinf(x) and x == int(x) for x in numbers)
        if twice is not None or not named or not whole:
            raise TableError(f"{source}, line {line}: no column names, but data; put a header line before it")
    if twice is not None:
        raise TableError(f"{source}, line {line}: two columns are named {twice!r}; rename one")


def read_npz(path: str | os.PathLike[str]) -> Table:
    """A table from an `.npz` file with `X`, and `y` where it has one: columns x0, x1, ..., and y.

    X: (N, ...), numbers; everything behind the first axis is laid out in a row. y: (N,), numbers or text.
    Nothing is unpickled. Raises TableError for what is no such file; OSError where it cannot be read.
    """
    source = Path(path).name
    with Path(path).open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise TableError(f"{source} is no .npz file, or damaged; numpy.savez(path, X=..., y=...) writes one")
        file.seek(0)
        try:
            with host.load(file, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in ("X", "y") if name in arrays}
                names = list(arrays)
        except (ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            pickled = "pickle" in str(error) or "Object arrays" in str(error)
            reason = "it holds Python objects, which are never unpickled" if pickled else f"it is damaged ({error})"
            raise TableError(f"{source} cannot be read: {reason}") from None
    if "X" not in found:
        raise TableError(f"{source} has no array 'X'; it has {', '.join(names) or 'none'}")
    X = _check_array(source, "X", found["X"], "biuf")
    uniform = X.ndim > 2
    X = X.reshape(len(X), -1)
    columns: dict[str, Column] = {f"x{i}": X[:, i] for i in range(X.shape[1])}
    if "y" in found:
        y = _check_array(source, "y", found["y"], "biufU")
        if y.size != len(X):
            raise TableError(f"{source}: X has {_count(len(X), 'row')}, y has shape {y.shape}; y must be ({len(X)},)")
        y = y.reshape(-1)
        columns["y"] = [str(value).strip() for value in y] if y.dtype.kind == "U" else y
    return Table(source, columns, positional=True, uniform=uniform)


def _check_array(source: str, name: str, array: Array, kinds: str) -> Array:
    if array.dtype.kind not in kinds:
        expected = "numbers or text" if "U" in kinds else "numbers"
        raise TableError(f"{source}: {name} holds {array.dtype}; {expected} are expected")
    if array.ndim == 0 or array.size == 0:
        raise TableError(f"{source}: {name} is empty (its shape is {array.shape})")
    return array


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
