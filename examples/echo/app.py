def lambda_handler(event, context):
    return {"event": event, "request": context.aws_request_id, "left_ms": context.get_remaining_time_in_millis()}
