"""One module per API, named after it: `handle(broker, request, context)` returns the response, or an awaitable of it
where it has to wait, or None where the handler answers itself through `context`.

A handler puts an expected refusal on the topic or partition that it concerns. What it lets escape is a bug.
"""
