import Bytes
import EventLoops
import Glibc
import TestSupport
import Testing

@testable import Redis

/// Whoever hears a reply may send, write at once, or cut the connection, though the other side has gone meanwhile.
@Suite struct WritingInRepliesTests {
    enum Deed: CaseIterable { case flushes, flushesOften, cuts, flushesAndCuts, cutsAndFlushes, sendsAgain }

    /// The peer answers a few commands in one piece and is gone, so that what is written inside the first answer fails.
    @Test(arguments: Deed.allCases) func aPeerThatIsGone(_ deed: Deed) async throws {
        let peer = try ScriptedPeer { socket, _ in
            for _ in 0..<4 { _ = try BreachTests.command(socket) }
            // A reset, so that the very first write fails.
            var abortive = linger(l_onoff: 1, l_linger: 0)
            setsockopt(socket.descriptor, SOL_SOCKET, SO_LINGER, &abortive, socklen_t(MemoryLayout<linger>.size))
            try socket.send(Array(String(repeating: ":1\r\n", count: 4).utf8))
        }
        let outcomes = Outcomes()
        let configuration = try RedisConfiguration(url: "redis://127.0.0.1:\(peer.port)")
        let user = await OnLoop<User> { User(loop: $0, configuration, deed, outcomes) }
        // Each connection is used once.
        #expect(await eventually { outcomes.count >= 20 * 5 })
        try await user.run { $0.close() }
        let calls = outcomes.count
        let answered = outcomes.all.filter { $0.result == .success(.integer(1)) }.count
        #expect(answered > 0 && answered <= calls)
        // Each call is completed once.
        let numbers = outcomes.all.map(\.number)
        #expect(Set(numbers).count == numbers.count)
    }

    /// Sends four commands on each connection, and another one when the first is answered.
    final class User {
        private let redis: RedisClient
        private let connection: ExclusiveConnection
        private let outcomes: Outcomes
        private let deed: Deed
        private var count = 0

        init(loop: EventLoop, _ configuration: RedisConfiguration, _ deed: Deed, _ outcomes: Outcomes) {
            self.deed = deed
            self.outcomes = outcomes
            redis = RedisClient(loop: loop, configuration: configuration, scripts: [])
            connection = ExclusiveConnection(of: redis, scripts: [])
            connection.onReady = { [unowned self] in begin() }
            connection.start()
        }

        func close() { connection.close() }

        private func begin() {
            for _ in 0..<4 { send { [unowned self] in act() } }
        }

        private func act() {
            send {}
            switch deed {
            case .sendsAgain: break
            case .flushes: connection.flush()
            case .flushesOften: for _ in 0..<3 { connection.flush() }
            case .cuts: connection.cut()
            case .flushesAndCuts:
                connection.flush()
                connection.cut()
            case .cutsAndFlushes:
                connection.cut()
                connection.flush()
            }
        }

        private func send(_ then: @escaping () -> Void) {
            count += 1
            let number = count
            let call = CommandCall(["PING"]) { [unowned self] result in
                outcomes.add(Outcome(number: number, result: result))
                if case .success = result { then() }
                // As long as there is a connection, a call that was lost is made again.
                if case .failure = result, deed == .sendsAgain, connection.isReady { send(then) }
            }
            connection.submit(call, budgetUs: longestWaitUs)
        }
    }
}
