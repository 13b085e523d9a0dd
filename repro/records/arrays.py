"""Named arrays as bytes of an npz file, and back without trusting the file."""

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.errors import UserError

if TYPE_CHECKING:
    import numpy as np

MOST_BYTES = 1 << 32  # of all arrays of a file together
HEADER = 100_000  # bytes of an array's header


def pack_arrays(arrays: "Mapping[str, np.ndarray[Any, Any]]") -> bytes:
    """An npz whose bytes depend on the arrays alone (numpy's own stamps the time)."""
    import numpy as np

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            entry = io.BytesIO()
            np.save(entry, np.asarray(arrays[name], order="C"), allow_pickle=False)
            stamp = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            stamp.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(stamp, entry.getvalue())
    return buffer.getvalue()


def unpack_arrays(data: bytes, path: Path) -> "dict[str, np.ndarray[Any, Any]]":
    """Read an npz; `path` is its name in errors.

    Raises UserError when it is damaged, holds Python objects, or an array of another size than its header states.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise ValueError(f"its arrays have more than {MOST_BYTES} bytes")
            arrays = {entry.filename.removesuffix(".npy"): _read(archive, entry) for entry in archive.infolist()}
            if len(arrays) != len(archive.infolist()):
                raise ValueError("two arrays have one name")
            return arrays
    except Exception as error:  # zipfile, zlib and numpy raise many kinds
        raise UserError(f"{path} is not a file of arrays that we wrote ({str(error)[:200]}); move it away") from None


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> "np.ndarray[Any, Any]":
    """One array. Raises ValueError before memory is taken for more than the file holds."""
    import numpy as np
    from numpy.lib import format as npy

    with archive.open(entry) as file:
        version = npy.read_magic(file)
        header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, fortran, dtype = header(file, max_header_size=HEADER)
        if dtype.hasobject or fortran:
            raise ValueError(f"{entry.filename} holds {'Python objects' if dtype.hasobject else 'columns'}")
        if math.prod(shape) * dtype.itemsize != entry.file_size - file.tell():
            raise ValueError(f"{entry.filename} has another size than its header states")
        return np.frombuffer(file.read(), dtype).reshape(shape).copy()
