import Bytes
import EventLoops
import Glibc

/// What a connection tells its run.
protocol ConnectionOwner: AnyObject {
    func opened(_ connection: Connection)
    /// One response arrived to the request that was sent with `sinceUs`. The view of its head and body holds during the
    /// call.
    func answered(_ connection: Connection, status: Int, response: ByteView, sinceUs: Int64, nowUs: Int64)
    /// The connection is gone; `lost` requests were sent on it and never answered.
    func closed(_ connection: Connection, lost: Int, reason: String?)
}

/// A keep-alive connection that sends prepared requests and matches responses to them in order.
final class Connection {
    private static let readBytes = 16384

    private unowned let loop: EventLoop
    private unowned let owner: any ConnectionOwner
    private let address: Sockets.Address
    private var descriptor: Int32 = -1
    private var watcher: Watcher?
    private var isConnecting = false
    private var isEnding = false
    private let input = ByteBuffer()
    private let output = ByteBuffer()
    private var parser = ResponseParser()
    private var inFlight: Ring<Int64>

    /// Grows with each opening, so that who remembers this connection can tell an old life from the present one.
    private(set) var generation = 0

    init(loop: EventLoop, owner: any ConnectionOwner, address: Sockets.Address, depth: Int) {
        self.loop = loop
        self.owner = owner
        self.address = address
        inFlight = Ring(capacity: depth)
    }

    var isOpen: Bool { descriptor >= 0 && !isConnecting }
    var inFlightCount: Int { inFlight.count }

    /// Whether requests may be sent: not after a response that ends the connection.
    var takesRequests: Bool { isOpen && !isEnding }

    func open() throws(Sockets.Failure) {
        descriptor = try Sockets.connect(address)
        isConnecting = true
        generation += 1
        let fresh = Watcher(loop: loop, descriptor: descriptor) { [unowned self] in ready($0) }
        watcher = fresh
        fresh.start()
        fresh.wantsWrites = true
    }

    /// Adds a request to what `flush` will write.
    /// - Parameter sinceUs: the moment its latency is counted from.
    func send(_ request: ByteView, sinceUs: Int64) {
        output.append(request)
        inFlight.append(sinceUs)
    }

    func flush() {
        guard isOpen, !output.isEmpty else { return }
        let view = output.view
        let written = write(descriptor, view.base, view.count)
        if written > 0 {
            output.consume(written)
        } else if errno != EAGAIN && errno != EINTR {
            return shut("write: " + String(cString: strerror(errno)))
        }
        watcher?.wantsWrites = !output.isEmpty
    }

    /// Ends the connection without a word to its owner.
    func close() {
        guard descriptor >= 0 else { return }
        watcher?.stop()
        watcher = nil
        Glibc.close(descriptor)
        descriptor = -1
        isConnecting = false
        isEnding = false
        input.removeAll()
        output.removeAll()
        parser = ResponseParser()
        while inFlight.popFirst() != nil {}
    }

    /// The moments that requests still unanswered are counted from, taken out.
    func takeUnanswered() -> [Int64] {
        var moments: [Int64] = []
        while let moment = inFlight.popFirst() { moments.append(moment) }
        return moments
    }

    private func shut(_ reason: String?) {
        let lost = inFlight.count
        close()
        owner.closed(self, lost: lost, reason: reason)
    }

    private func ready(_ readiness: Readiness) {
        if isConnecting {
            let error = Sockets.connectError(descriptor)
            guard error == 0 else { return shut("connect: " + String(cString: strerror(error))) }
            isConnecting = false
            watcher?.wantsWrites = false
            owner.opened(self)
            flush()
        } else if readiness.contains(.read) {
            receive()
        } else {
            flush()
        }
    }

    private func receive() {
        let target = input.reserve(Connection.readBytes)
        let count = read(descriptor, target, input.room)
        guard count > 0 else {
            if count == 0 { return shut(inFlight.isEmpty ? nil : "the server closed the connection") }
            if errno == EAGAIN || errno == EINTR { return }
            return shut("read: " + String(cString: strerror(errno)))
        }
        input.didAppend(count)
        let nowUs = MonotonicClock.nowUs()
        while !input.isEmpty {
            let view = input.view
            switch parser.parse(view) {
            case .incomplete: return flush()
            case .invalid(let what): return shut("the server sent " + what)
            case .response(let response):
                guard let sinceUs = inFlight.popFirst() else { return shut("the server sent an answer to nothing") }
                isEnding = response.closes
                let whole = view.slice(0, response.body.upperBound)
                owner.answered(self, status: response.status, response: whole, sinceUs: sinceUs, nowUs: nowUs)
                guard descriptor >= 0 else { return }
                input.consume(response.body.upperBound)
                if response.closes { return shut(nil) }
            }
        }
        flush()
    }
}
