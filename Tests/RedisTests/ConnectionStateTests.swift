import Testing
import TestSupport

@testable import Redis

@Suite struct ConnectionStateTests {
    @Test func redisAnswers() throws {
        #expect(try RedisServer.shared.redis("PING") == "PONG")
    }
}
