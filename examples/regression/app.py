import json

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split


def lambda_handler(event, context):
    data = np.array(json.loads(event["body"]))
    features, target = data[:, :-1], data[:, -1]
    train_x, test_x, train_y, test_y = train_test_split(features, target, test_size=0.25, random_state=0)

    model = LinearRegression()
    model.fit(train_x, train_y)

    return {
        "statusCode": 200,
        "body": json.dumps({"score": model.score(test_x, test_y), "prediction": model.predict(test_x).tolist()}),
    }
