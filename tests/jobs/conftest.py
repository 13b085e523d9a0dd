"""The study files of the tests of studies."""

from tests.studies.conftest import results as results
from tests.studies.conftest import study as study
from tests.studies.conftest import write as write
