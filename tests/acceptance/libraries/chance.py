"""Every source of chance of the standard library, one of them drawn from when the function is loaded."""

import os
import random
import secrets
import tempfile
import uuid

drawn = random.random()


def handler(event, context):
    return {
        "drawn": drawn,
        "random": random.random(),
        "uuid1": str(uuid.uuid1()),
        "uuid4": str(uuid.uuid4()),
        "secrets": secrets.token_hex(8),
        "system": random.SystemRandom().random(),
        "urandom": os.urandom(8).hex(),
        "temporary": next(tempfile._get_candidate_names()),
    }
