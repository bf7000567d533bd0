# /// script
# dependencies = ["scikit-learn"]
# ///
"""Clusters with OpenMP, whose threads do not survive a fork."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin


def handler(event, context):
    points = np.random.default_rng(0).normal(size=(5000, 8)) + np.repeat([[0], [10], [20], [30]], 1250, axis=0)
    model = KMeans(4, n_init=2, random_state=0).fit(points)
    centres = np.sort(model.cluster_centers_.mean(axis=1)).round(1).tolist()
    nearest = pairwise_distances_argmin(points, model.cluster_centers_)
    return [centres, bool((nearest == model.labels_).all())]
