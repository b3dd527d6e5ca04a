import Bytes
import EventLoops
import Glibc

/// One connection of a client: sends one request at a time and reports what comes back.
final class ClientConnection {
    enum Event {
        case head(status: Int, fields: [(name: String, value: String)])
        /// Holds during the call only.
        case data(ByteView)
        /// The response is complete.
        case end
        case failed(HTTPClientError)
    }

    private let descriptor: Int32
    private var watcher: Watcher?
    private let input = ByteBuffer()
    private let output = ByteBuffer()
    private var parser = ResponseParser(isHead: false)
    private var receive: ((Event) -> Void)?
    private var isConnected = false
    /// Whether a byte of the current response has come.
    private(set) var hasHeard = false
    /// Called when an idle connection ends.
    var onIdleEnd: (() -> Void)?

    init(loop: EventLoop, address: Sockets.Address) throws(HTTPClientError) {
        do {
            descriptor = try Sockets.connect(address)
        } catch {
            throw .unreachable("\(error)")
        }
        let watcher = Watcher(loop: loop, descriptor: descriptor) { [unowned self] in isReady($0) }
        self.watcher = watcher
        watcher.start()
        watcher.wantsWrites = true
    }

    deinit { end() }

    var isOpen: Bool { watcher != nil }
    /// Whether another request may follow the response that has just ended.
    var isReusable: Bool { isOpen && parser.keepsAlive && input.isEmpty }

    /// Off while what has been received waits to be taken.
    var reads: Bool {
        get { watcher?.wantsReads ?? false }
        set { watcher?.wantsReads = newValue }
    }

    func send(_ request: ByteView, isHead: Bool, _ receive: @escaping (Event) -> Void) {
        parser = ResponseParser(isHead: isHead)
        hasHeard = false
        self.receive = receive
        output.append(request)
        if isConnected { write() }
    }

    /// Ends the connection; nothing more is reported.
    func end() {
        guard let watcher else { return }
        self.watcher = nil
        receive = nil
        watcher.stop()
        close(descriptor)
    }

    private func isReady(_ readiness: Readiness) {
        // What is reported may lead to the end of this object.
        withExtendedLifetime(self) {
            if readiness.contains(.write) {
                if !isConnected {
                    let error = Sockets.connectError(descriptor)
                    if error != 0 { return fail(.unreachable(String(cString: strerror(error)))) }
                    isConnected = true
                }
                write()
            }
            if readiness.contains(.read), isOpen { read() }
        }
    }

    private func write() {
        let count = Glibc.send(descriptor, output.view.base, output.count, Int32(MSG_NOSIGNAL))
        if count >= 0 { output.consume(count) }
        // An answer may have come before the connection broke; the reading side finds out.
        watcher?.wantsWrites = count >= 0 ? !output.isEmpty : errno == EAGAIN
    }

    private func read() {
        let room = 65536
        let count = Glibc.read(descriptor, input.reserve(room), room)
        if count > 0 {
            hasHeard = true
            input.didAppend(count)
            parse()
        } else if count == 0 {
            finishInput()
        } else if errno != EAGAIN, errno != EINTR {
            fail(isConnected ? .connectionLost : .unreachable(String(cString: strerror(errno))))
        }
    }

    private func parse() {
        while isOpen, let receive {
            switch parser.next(input) {
            case .needMore: return
            case .head: receive(.head(status: parser.status, fields: parser.fields))
            case .data(let count):
                receive(.data(input.view.slice(0, count)))
                input.consume(count)
            case .end:
                self.receive = nil
                receive(.end)
            case .failed(let error): fail(error)
            }
        }
        // Bytes that nobody asked for: this connection cannot be trusted with another request.
        if isOpen, receive == nil, !input.isEmpty { fail(.malformed("bytes after the response")) }
    }

    private func finishInput() {
        guard let receive else { return fail(.connectionLost) }
        if case .end = parser.endOfInput() {
            end()
            receive(.end)
        } else {
            fail(.connectionLost)
        }
    }

    private func fail(_ error: HTTPClientError) {
        let receive = receive
        end()
        if let receive { receive(.failed(error)) } else { onIdleEnd?() }
    }
}
