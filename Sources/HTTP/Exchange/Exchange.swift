import Bytes
import EventLoops

/// One request and its answer.
///
/// It lives in a connection, which uses it again for the next request: what it hands out as a `ByteView` holds until
/// the answer is finished, and nothing of it is used after that. It is confined to the connection's loop.
public final class Exchange {
    /// How far the answer is.
    enum Reply: UInt8 { case none, begun, streaming, finished }

    let connection: HTTPConnection
    var head = RequestHead()
    /// The first byte of the head. Empty text between requests, so that a late look finds nothing.
    var base = ByteView.empty.base
    /// The body, decoded, counted from `base`.
    var bodyStart = 0
    var bodyEnd = 0
    var reply = Reply.finished
    var status = 0
    /// Goes up with each request, so that what belongs to an earlier one can be told.
    public internal(set) var serial = 0
    /// When the request was complete, on the loop's clock in µs.
    public internal(set) var receivedUs: Int64 = 0
    /// Header lines that whatever answer is given will carry.
    var stash: ByteBuffer?
    var stream: ResponseStream?

    /// What the handler says it has changed, for whoever keeps records. It outlives the answer, to the next request.
    public var change: Change?

    /// The route the router found, once it has.
    public internal(set) var route: Route?
    /// Where the path's parameters lie within the path, in the order of the pattern.
    var parameters: [Range<Int>] = []

    /// The client has closed its side, so most likely it has left. Answering is allowed and does no harm.
    public internal(set) var isGone = false
    /// Called once, on the loop, when the client leaves while the answer is not finished. It is forgotten with the
    /// answer.
    public var onGone: (() -> Void)?

    init(connection: HTTPConnection) { self.connection = connection }

    func begin(_ head: RequestHead, base: UnsafePointer<UInt8>, bodyStart: Int, bodyEnd: Int) {
        self.head = head
        self.base = base
        receivedUs = loop.nowUs
        if change != nil { change = nil }
        self.bodyStart = bodyStart
        self.bodyEnd = bodyEnd
    }

    /// Forgets the request.
    func clear() {
        head = RequestHead()
        base = ByteView.empty.base
        bodyStart = 0
        bodyEnd = 0
        reply = .finished
        if route != nil { route = nil }
        if onGone != nil { onGone = nil }
        if !parameters.isEmpty { parameters.removeAll(keepingCapacity: true) }
        stash?.removeAll()
    }

    func clientLeft() {
        let wasGone = isGone
        isGone = true
        // An endless answer to nobody must end; any other is finished by its handler.
        stream?.connectionClosed()
        if !wasGone, let onGone {
            self.onGone = nil
            onGone()
        }
    }

    // MARK: The request

    public var loop: EventLoop { connection.server.loop }

    public var method: HTTPMethod { head.method }

    /// The request target as it was sent.
    public var target: ByteView { view(head.targetStart, head.targetEnd) }

    /// The path of the target as it was sent, percent-encoded, without the query.
    public var path: ByteView {
        head.pathEnd > head.pathStart || head.targetEnd == 0 ? view(head.pathStart, head.pathEnd) : ByteView("/")
    }

    /// The query as it was sent, without the question mark; empty when there is none.
    public var query: ByteView { view(head.queryStart, head.targetEnd) }

    /// The body, complete and without its transfer coding.
    public var body: ByteView { view(bodyStart, bodyEnd) }

    /// Whether there is a body, here already or still to come.
    public var hasBody: Bool { bodyEnd > bodyStart || head.hasBody }

    /// The body for another thread to read while the request is not answered.
    public var steadyBody: SteadyBody { SteadyBody(view: body, owner: connection.buffers) }

    /// The value of the Host field as it was sent; empty without one.
    public var host: ByteView { view(Int(head.hostStart), Int(head.hostStart) + Int(head.hostCount)) }

    /// Whether a browser sent it, as its Origin or Sec-Fetch-Site field tells. Programs send neither, and old browsers
    /// neither with GET.
    public var isFromBrowser: Bool { head.isFromBrowser }

    /// The first header field with this name.
    public func header(_ lowercased: StaticString) -> ByteView? {
        connection.buffers?.fields.first(lowercased, in: base)
    }

    /// All header fields with this name, in order.
    public func headers(_ lowercased: StaticString, _ each: (ByteView) -> Void) {
        headers(ByteView(lowercased), each)
    }

    /// The same for a name that is known only while we run.
    public func headers(_ lowercased: ByteView, _ each: (ByteView) -> Void) {
        connection.buffers?.fields.forEach(lowercased, in: base, each)
    }

    /// Who is at the other end. Known since the connection was made; asking costs nothing.
    public var peer: Peer { connection.peer }

    /// Whether an answer has been finished or a stream begun.
    public var isReplied: Bool { reply == .streaming || reply == .finished }

    /// Whether the answer is complete, a stream included.
    public var isFinished: Bool { reply == .finished }

    /// Ends the answer if it is a stream: politely where it knows how, as when the server drains, else by cutting it.
    public func endStream() {
        guard let stream else { return }
        if let end = stream.onDrain { end() } else { stream.abort() }
    }

    /// The status of the answer, once it is begun.
    public var replyStatus: Int { status }

    /// Makes the answer the connection's last. Only before it is begun.
    public func endConnection() { head.keepsAlive = false }

    @inline(__always)
    private func view(_ start: Int, _ end: Int) -> ByteView { ByteView(base: base + start, count: end - start) }
}

/// A request's body that may be read on any thread, as long as the request is not answered.
public struct SteadyBody: @unchecked Sendable {
    // Unchecked because nobody writes to a request's bytes while it is being handled, and their memory is held here.
    public let view: ByteView
    private let owner: AnyObject?

    init(view: ByteView, owner: AnyObject?) {
        self.view = view
        self.owner = owner
    }
}
