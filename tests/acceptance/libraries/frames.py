# /// script
# dependencies = ["pandas"]
# ///
"""A table grouped by pandas, and read back from a file."""

import pandas as pd


def handler(event, context):
    table = pd.DataFrame({"key": list("abab"), "value": [1, 2, 3, 4]})
    table.to_csv("/tmp/table.csv", index=False)
    return pd.read_csv("/tmp/table.csv").groupby("key").value.sum().to_dict()
