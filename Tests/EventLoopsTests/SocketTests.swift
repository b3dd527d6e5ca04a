import EventLoops
import Glibc
import Testing

struct SocketTests {
    private let any = Sockets.Address.tcp(host: "127.0.0.1", port: 0)

    @Test func connectsAcceptsAndTellsThePeer() throws {
        let listener = try Sockets.listen(any, sharesPort: false)
        defer { close(listener) }
        #expect(try Sockets.accept(listener) == nil)
        let port = try #require(Sockets.localPort(listener))
        let client = try Sockets.connect(.tcp(host: "127.0.0.1", port: port))
        defer { close(client) }
        let server = try accepted(listener)
        defer { close(server) }
        #expect(Sockets.connectError(client) == 0)
        #expect(try Sockets.peerAddress(server) == "127.0.0.1")
        #expect(write(client, "hi", 2) == 2)
        #expect(wait(server, Int16(POLLIN)))
        var bytes = [UInt8](repeating: 0, count: 8)
        #expect(read(server, &bytes, 8) == 2)
        #expect(bytes.prefix(2) == Array("hi".utf8)[...])
        #expect(read(server, &bytes, 8) == -1 && errno == EAGAIN, "accepted sockets do not block")
        for descriptor in [listener, client, server] {
            #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
            #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0)
        }
    }

    /// The system goes through the even ports of its range, so that it comes by the one that is asked for.
    @Test func knowsASocketThatIsConnectedToItself() throws {
        let free = stride(from: 40_000, to: 41_000, by: 2).lazy.compactMap { port in
            (try? Sockets.listen(.tcp(host: "127.0.0.1", port: port), sharesPort: false)).map { (port, $0) }
        }.first
        let (port, listener) = try #require(free)
        let client = try Sockets.connect(.tcp(host: "127.0.0.1", port: port))
        #expect(!Sockets.isConnectedToItself(client))
        close(client)
        close(listener)
        for _ in 0..<200_000 {
            guard let descriptor = try? Sockets.connect(.tcp(host: "127.0.0.1", port: port)) else { continue }
            defer { close(descriptor) }
            if Sockets.connectError(descriptor) == 0, Sockets.isConnectedToItself(descriptor) { return }
        }
        Issue.record("no attempt was connected to itself")
    }

    @Test func unixSocketsHaveNoAddress() throws {
        let path = "/tmp/qm-sockets-\(getpid()).sock"
        unlink(path)
        defer { unlink(path) }
        let listener = try Sockets.listen(.unix(path: path), sharesPort: true)
        defer { close(listener) }
        #expect(Sockets.localPort(listener) == nil)
        let client = try Sockets.connect(.unix(path: path))
        defer { close(client) }
        let server = try accepted(listener)
        defer { close(server) }
        #expect(try Sockets.peerAddress(server) == nil)
    }

    /// Unix peers are trusted, so one that left must not be taken for one.
    @Test func aPeerThatLeftIsNoUnixPeer() throws {
        let listener = try Sockets.listen(any, sharesPort: false)
        defer { close(listener) }
        let client = try Sockets.connect(.tcp(host: "127.0.0.1", port: Sockets.localPort(listener)!))
        let server = try accepted(listener)
        defer { close(server) }
        var lingering = linger(l_onoff: 1, l_linger: 0)
        setsockopt(client, SOL_SOCKET, SO_LINGER, &lingering, socklen_t(MemoryLayout<linger>.size))
        close(client)
        #expect(wait(server, Int16(POLLIN)))
        #expect(throws: Sockets.Failure.self) { try Sockets.peerAddress(server) }
    }

    @Test func aRefusedConnectionSaysSo() throws {
        let listener = try Sockets.listen(any, sharesPort: false)
        let port = try #require(Sockets.localPort(listener))
        close(listener)
        let client = try Sockets.connect(.tcp(host: "127.0.0.1", port: port))
        defer { close(client) }
        #expect(wait(client, Int16(POLLOUT)))
        #expect(Sockets.connectError(client) == ECONNREFUSED)
    }

    @Test func aPortIsSharedOnlyOnPurpose() throws {
        let first = try Sockets.listen(any, sharesPort: true)
        defer { close(first) }
        let port = try #require(Sockets.localPort(first))
        let second = try Sockets.listen(.tcp(host: "127.0.0.1", port: port), sharesPort: true)
        defer { close(second) }
        let failure = #expect(throws: Sockets.Failure.self) {
            try Sockets.listen(.tcp(host: "127.0.0.1", port: port), sharesPort: false)
        }
        #expect(failure?.call == "bind" && failure?.code == EADDRINUSE)
    }

    @Test(arguments: [
        (Sockets.Address.tcp(host: "localhost", port: 1), EINVAL), (.tcp(host: "1:2", port: 1), EINVAL),
        (.unix(path: String(repeating: "x", count: 108)), ENAMETOOLONG), (.unix(path: "/nowhere/at/all"), ENOENT),
    ])
    func wrongAddresses(_ address: Sockets.Address, _ code: Int32) {
        let failure = #expect(throws: Sockets.Failure.self) { try Sockets.connect(address) }
        #expect(failure?.code == code, "\(failure?.description ?? "")")
    }

    @Test func failuresLeakNoDescriptors() throws {
        // Other tests run beside this one and open some of their own, by the thousand: a leak must be larger.
        let before = openDescriptors()
        for _ in 0..<10_000 {
            _ = try? Sockets.connect(.unix(path: "/nowhere/at/all"))
            _ = try? Sockets.connect(.tcp(host: "localhost", port: 1))
            _ = try? Sockets.listen(.unix(path: String(repeating: "x", count: 200)), sharesPort: false)
        }
        #expect(openDescriptors() < before + 20_000)
    }

    private func accepted(_ listener: Int32) throws -> Int32 {
        #expect(wait(listener, Int16(POLLIN)))
        return try #require(try Sockets.accept(listener))
    }

    private func wait(_ descriptor: Int32, _ events: Int16) -> Bool {
        var entry = pollfd(fd: descriptor, events: events, revents: 0)
        return poll(&entry, 1, 30_000) == 1
    }

    private func openDescriptors() -> Int { (0..<65_536).count { fcntl($0, F_GETFD) >= 0 } }
}

struct WatcherTests {
    @Test func hearsOfReadingUntilItStopsItself() async {
        let events = await RunningLoop()() { loop -> [String] in
            var pair: [Int32] = [0, 0]
            socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &pair)
            let events = Events()
            var watcher: Watcher?
            watcher = Watcher(loop: loop, descriptor: pair[0]) { readiness in
                events.add(readiness == .read ? "read" : "other")
                // Level-triggered: what is not read is told again. The third time, end inside the callback.
                if events.all.count == 3 {
                    watcher?.stop()
                    watcher = nil
                }
            }
            watcher?.start()
            _ = write(pair[1], "x", 1)
            _ = await eventually(loop) { watcher == nil }
            await loop.sleep(us: 2000)
            for descriptor in pair { close(descriptor) }
            return events.all
        }
        #expect(events == ["read", "read", "read"])
    }

    @Test func hearsOnlyWhatItWants() async {
        let events = await RunningLoop()() { loop -> [String] in
            var pair: [Int32] = [0, 0]
            socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &pair)
            let events = Events()
            var byte: UInt8 = 0
            var watcher: Watcher!
            watcher = Watcher(loop: loop, descriptor: pair[0]) { readiness in
                if readiness.contains(.read) {
                    _ = read(pair[0], &byte, 1)
                    events.add("read")
                }
                if readiness.contains(.write) {
                    watcher.wantsWrites = false
                    events.add("write")
                }
            }
            watcher.start()
            watcher.wantsReads = false
            _ = write(pair[1], "x", 1)
            await loop.sleep(us: 3000)
            events.add("nothing yet")
            watcher.wantsWrites = true
            _ = await eventually(loop) { events.all.contains("write") }
            watcher.wantsReads = true
            _ = await eventually(loop) { events.all.contains("read") }
            watcher.stop()
            for descriptor in pair { close(descriptor) }
            return events.all
        }
        #expect(events == ["nothing yet", "write", "read"])
    }
}
