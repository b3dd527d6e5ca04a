import EventLoops
import Glibc
import Testing

@testable import HTTP

/// What a connection costs that has nothing to say, or does not listen. One after the other, as memory is measured.
@Suite(.serialized) struct IdleCostTests {
    /// 10,000 idle connections measured 0.9 KiB each in a process of their own (release build). Here other tests run at
    /// the same time, so the memory of the process can only be held against the bound that is promised; what makes the
    /// difference, the buffers, is counted exactly.
    @Test func anIdleConnectionCostsLittle() throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let count = min(4000, Int(limit.rlim_cur) / 4)
        let server = try TestServer()
        let before = residentBytes()
        let clients = try (0..<count).map { _ in
            let client = try server.connect()
            client.get("/")
            _ = try client.response()
            return client
        }
        #expect(server.onLoop { $0.openConnections } == count)
        // A sanitizer's own memory is beside the point.
        let isSanitized = dlsym(nil, "__asan_init") != nil || dlsym(nil, "__tsan_init") != nil
        #expect(isSanitized || (residentBytes() - before) / count < 16384)
        #expect(eventually { server.onLoop { $0.pool.inUse } == 0 })
        // Half a request is the least that keeps buffers.
        clients[0].send("GET")
        #expect(eventually { server.onLoop { $0.pool.inUse } == 1 })
        clients[0].send(" / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try clients[0].response().status == 200)
        #expect(eventually { server.onLoop { $0.pool.inUse } == 0 })
    }

    /// Clients that do not read what they asked for do not make the server keep any amount of it.
    @Test func answersThatNobodyTakesHaveAnEnd() throws {
        var limits = TestServer.smallLimits
        limits.unsentBytes = 12_000_000
        let server = try TestServer(limits: limits) { router, _ in
            router.on(
                .get, "/huge",
                .immediate { exchange in
                    exchange.beginReply(200)
                    exchange.finishReply(contentType: "text/plain") {
                        memset($0.reserve(8_000_000), 0x61, 8_000_000)
                        $0.didAppend(8_000_000)
                    }
                })
        }
        let readers = try (0..<6).map { _ in try server.connect() }
        for reader in readers { reader.get("/huge") }
        #expect(eventually { server.onLoop { $0.requests } == 6 })
        #expect(server.onLoop { $0.unsentBytes } <= 12_000_000)
        let answers = try readers.map { try $0.response() }
        #expect(answers.contains { $0.status == 200 && $0.body.utf8.count == 8_000_000 })
        #expect(answers.contains { $0.status == 503 && $0.field("Retry-After") == "1" })
        // With all of it taken there is room again, on the same connections.
        for reader in readers {
            reader.get("/huge")
            #expect(try reader.response().status == 200)
        }
    }

    private func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 200)
        fgets(&line, Int32(line.count), file)
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * Int(getpagesize())
    }
}
