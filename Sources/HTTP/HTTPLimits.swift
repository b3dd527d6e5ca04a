/// What a client may take of the server. Each limit has its own answer when it is passed.
public struct HTTPLimits: Sendable {
    /// Request line and header fields together, and trailer fields again; at most 65,535. Beyond: 431.
    public var headBytes = 16384
    /// Header fields of one request. Beyond: 431.
    public var headerCount = 100
    /// Body of a request whose route states no limit of its own. Beyond: 413.
    public var bodyBytes = 1 << 20
    /// Bodies that are on their way or being worked on, together, on one server; what the first small piece of memory of a
    /// request holds is not counted. Beyond: 503 with Retry-After. It must hold the largest body of any route.
    public var bodyBytesAtOnce = 64 << 20
    /// Answers that clients have not taken yet, together, on one server. Beyond, a large answer to GET becomes a 503 with
    /// Retry-After.
    public var unsentBytes = 64 << 20
    /// From the first byte of a request to the end of its head. Beyond: 408.
    public var headUs: Int64 = 10_000_000
    /// Without a byte of the body; also without a byte taken of an answer that waits. Beyond: 408, or the end.
    public var bodyUs: Int64 = 30_000_000
    /// A body must arrive at this mean rate after its first `bodyUs`, so that a byte now and then is no way to stay.
    public var bodyBytesPerSecond = 1024
    /// Between requests. Beyond: the connection is closed.
    public var idleUs: Int64 = 75_000_000
    /// Without a byte of what a client still sends, and that is thrown away, after an answer that ends the connection; in
    /// all `bodyUs`.
    public var lingerUs: Int64 = 2_000_000
    /// Open connections of one server. Beyond: 503 with Retry-After.
    public var connections = 20000

    public init() {}
}
