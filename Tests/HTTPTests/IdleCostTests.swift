import EventLoops
import Glibc
import Testing

@testable import HTTP

/// What a connection costs that has nothing to say.
@Suite struct IdleCostTests {
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

    private func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 200)
        fgets(&line, Int32(line.count), file)
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * Int(getpagesize())
    }
}
