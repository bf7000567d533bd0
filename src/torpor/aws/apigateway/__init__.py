"""HTTP APIs of API Gateway, version 2, as torpor offers them."""
