"""The engine behind `-M engine=vllm`: a pair that a vLLM server runs as one model.

This is the client's side: it imports neither torch nor vLLM. The server draws every
token itself and says what both checkpoints thought of it (`engines.vllm.draw`).

    spec        what was asked for
    local       what is known of the pair without a server: its directory, its tokenizer
    program     which `vllm` is run, and whether it can serve pairs
    command     how it is called
    launch      starts it, waits until it answers, ends it
    lifeline    ends it whatever happens to this process (a program of its own)
    reasons     what its log says when it fails
    handshake   refuses a server that is not this pair, served by a plugin like ours
    wire        a request as HTTP, an answer as tokens
    opening     finds or starts the servers, and sees that they serve the pair
    parts       a score in parts that fit into a row of logits
    replicas    which of several servers gets a request
    servers     the servers that this process started
    engine      all of it as an `engines.base.Engine`
"""
