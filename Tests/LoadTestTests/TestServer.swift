import Bytes
import EventLoops
import Glibc

/// A server of known behaviour on the test's own loop. It takes each end of a head for a request, as the bodies that the
/// load test sends hold none.
final class TestServer {
    struct Behaviour: Sendable {
        var status = "200 OK"
        var body = #"[{"allowed":true},{"allowed":true},{"allowed":false}]"#
        /// Ends each connection with its so-manieth answer.
        var closesAfter = Int.max
        /// Once, 100 ms after the first request, stops answering for so long.
        var stallUs: Int64 = 0
        var refuses = false
    }

    private let loop: EventLoop
    private let listener: Int32
    private let behaviour: Behaviour
    private var watcher: Watcher?
    private var peers: [Peer] = []
    private var timers: [LoopTimer] = []
    private(set) var isStalled = false
    private(set) var served = 0
    private(set) var accepted = 0
    /// The most requests that one connection was seen to have waiting.
    private(set) var deepest = 0

    init(loop: EventLoop, listener: Int32, behaviour: Behaviour) {
        self.loop = loop
        self.listener = listener
        self.behaviour = behaviour
    }

    func start() {
        guard !behaviour.refuses else { return }
        watcher = Watcher(loop: loop, descriptor: listener) { [unowned self] _ in
            while let descriptor = try? Sockets.accept(listener) {
                accepted += 1
                peers.append(Peer(loop: loop, descriptor: descriptor, server: self))
            }
        }
        watcher?.start()
        guard behaviour.stallUs > 0 else { return }
        timers.append(
            loop.after(us: 100_000) { [unowned self] in
                isStalled = true
                // From here: where the machine is busy this moment is late, and the stall would be shorter than said.
                timers.append(
                    loop.after(us: behaviour.stallUs) { [unowned self] in
                        isStalled = false
                        for peer in peers { peer.answer() }
                    })
            })
    }

    func stop() {
        for peer in peers { peer.stop() }
        watcher?.stop()
        if !behaviour.refuses { close(listener) }
    }

    /// Writes the answers to `count` requests and says whether the connection goes on.
    fileprivate func answer(_ count: Int, before: Int, to output: ByteBuffer) -> Int {
        deepest = max(deepest, count)
        let answered = min(count, behaviour.closesAfter - before)
        for i in 0..<answered {
            served += 1
            let closes = before + i + 1 == behaviour.closesAfter
            let body = behaviour.body
            output.append("HTTP/1.1 \(behaviour.status)\r\nContent-Length: \(body.utf8.count)\r\n")
            output.append(closes ? "Connection: close\r\n\r\n" : "\r\n" as StaticString)
            output.append(body)
        }
        return answered
    }

    fileprivate func ends(after answered: Int) -> Bool { answered >= behaviour.closesAfter }
}

private final class Peer {
    private let descriptor: Int32
    private unowned let server: TestServer
    private var watcher: Watcher?
    private let input = ByteBuffer()
    private let output = ByteBuffer()
    private var answered = 0

    init(loop: EventLoop, descriptor: Int32, server: TestServer) {
        self.descriptor = descriptor
        self.server = server
        watcher = Watcher(loop: loop, descriptor: descriptor) { [unowned self] _ in ready() }
        watcher?.start()
    }

    func stop() {
        guard watcher != nil else { return }
        watcher?.stop()
        watcher = nil
        close(descriptor)
    }

    private func ready() {
        let count = read(descriptor, input.reserve(65536), 65536)
        guard count > 0 else { return stop() }
        input.didAppend(count)
        answer()
    }

    func answer() {
        guard watcher != nil, !server.isStalled else { return }
        let end: StaticString = "\r\n\r\n"
        var waiting = 0
        while let found = memmem(input.view.base, input.count, end.utf8Start, 4) {
            input.consume(UnsafeRawPointer(found) - UnsafeRawPointer(input.view.base) + 4)
            waiting += 1
        }
        answered += server.answer(waiting, before: answered, to: output)
        let view = output.view
        if !view.isEmpty { output.consume(max(0, write(descriptor, view.base, view.count))) }
        if server.ends(after: answered) { stop() }
    }
}
