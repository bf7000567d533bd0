# /// script
# dependencies = ["scikit-learn"]
# ///
"""Every source of chance that code in scientific libraries draws from."""

import random
import secrets
import uuid

import numpy as np
from sklearn.utils import check_random_state


def handler(event, context):
    return {
        "numpy": np.random.random(),  # noqa: NPY002 -- the legacy generator is what is asked about
        "default_rng": np.random.default_rng().random(),
        "scikit-learn": check_random_state(None).random_sample(),
        "random": random.random(),
        "uuid": str(uuid.uuid4()),
        "secrets": secrets.token_hex(8),
    }
