"""Rows of 3GPP's evaluation table: their order, empty cells, numbers of the JSON, tags, gains."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from csideploy.cli import app
from csideploy.errors import InputError
from csideploy.export.onnx_text import write_model_text
