import Testing

/// The rate limiter as a whole: real servers, real Redis, real HTTP. One after the other, since time is part of what they
/// test and each keeps the machine busy.
@Suite(.serialized) struct Integration {}
