import Bytes
import EventLoops
import Glibc
import Testing

@testable import LoadTest

/// Runs against a small server on the same loop, whose behaviour is exactly known.
struct LoadRunTests {
    @Test func theClosedLoopCountsWhatTheServerServed() async throws {
        let outcome = try await run("plain", ["--connections", "4", "--duration", "0.3", "--warm-up", "0"])
        #expect(outcome.result.isGood, "\(outcome.result.report)")
        #expect(outcome.result.statuses.keys.sorted() == [200])
        // What was under way at the end, and the one request of the warm-up's pass, are not counted.
        #expect(outcome.served - outcome.result.requests <= 8 + 4)
        #expect(outcome.served >= outcome.result.requests)
        #expect(outcome.result.durationUs >= 300_000)
        #expect(outcome.result.server?.residentKiB ?? 0 > 0)
    }

    @Test func pipelinesAsDeepAsAsked() async throws {
        let outcome = try await run("plain", ["--connections", "2", "--pipeline", "8", "--duration", "0.2"])
        #expect(outcome.result.isGood, "\(outcome.result.report)")
        #expect(outcome.deepest == 8)
        let flat = try await run("plain", ["--connections", "2", "--duration", "0.2"])
        #expect(flat.deepest == 1)
    }

    @Test func countsTextInBodies() async throws {
        let outcome = try await run("plain", ["--duration", "0.2", "--count", #""allowed":true"#])
        #expect(outcome.result.matches == 2 * outcome.result.requests)
    }

    @Test func unexpectedStatusesMakeTheRunFail() async throws {
        let outcome = try await run("plain", ["--duration", "0.2"]) { $0.status = "429 Too Many Requests" }
        #expect(!outcome.result.isGood)
        #expect(outcome.result.unexpected == outcome.result.requests)
        #expect(outcome.result.statuses.keys.sorted() == [429])
    }

    @Test func answersThatDoNotProveTheirDecisionMakeTheRunFail() async throws {
        let good = try await run("check-allowed", ["--duration", "0.2", "--keys", "10", "--warm-up", "0"]) {
            $0.body = #"{"allowed":true,"reason":"allowed"}"#
        }
        #expect(good.result.isGood, "\(good.result.report)")
        let failedOpen = try await run("check-allowed", ["--duration", "0.2", "--keys", "10", "--warm-up", "0"]) {
            $0.body = #"{"allowed":true,"reason":"store-unavailable"}"#
        }
        #expect(failedOpen.result.unproven == failedOpen.result.requests)
        #expect(!failedOpen.result.isGood)
        let composed = #"{"name":"bench-composed-1"}{"name":"bench-composed-2"}"#
        let incomplete = try await run("check-composed", ["--duration", "0.2", "--keys", "10", "--warm-up", "0"]) {
            $0.body = composed
        }
        #expect(incomplete.result.unproven == incomplete.result.requests)
    }

    @Test func stopsAfterTheGivenNumber() async throws {
        let outcome = try await run("plain", ["--connections", "1", "--duration", "60", "--requests", "50"])
        #expect(outcome.result.requests == 50)
        #expect(outcome.result.isGood)
    }

    @Test func opensAgainWhenTheServerEndsConnections() async throws {
        let outcome = try await run("plain", ["--connections", "3", "--duration", "0.3"]) { $0.closesAfter = 10 }
        #expect(outcome.result.isGood, "\(outcome.result.report)")
        #expect(outcome.accepted > 10)
    }

    @Test func theOpenLoopSendsItsWholeSchedule() async throws {
        let outcome = try await run("plain", ["--connections", "8", "--duration", "0.5", "--rate", "1000"])
        #expect(outcome.result.isGood, "\(outcome.result.report)")
        #expect(outcome.result.requests == 500)
        let reopened = try await run("plain", ["--connections", "8", "--duration", "0.5", "--rate", "1000"]) {
            $0.closesAfter = 20
        }
        #expect(reopened.result.isGood, "\(reopened.result.report)")
        #expect(reopened.result.requests == 500)
    }

    /// A server that stops for 400 ms delays the 400 requests of that time, by 200 ms in the mean. A generator that
    /// waits with it sees one slow request per connection.
    @Test func latencyIsFreeOfCoordinatedOmission() async throws {
        let arguments = ["--connections", "2", "--duration", "1", "--warm-up", "0"]
        let open = try await run("plain", arguments + ["--rate", "1000"]) { $0.stallUs = 400_000 }
        #expect(open.result.requests == 1000)
        let slow = try #require(open.result.latency)
        #expect(slow.maxUs >= 380_000)
        #expect(slow.meanUs > 50_000, "\(open.result.report)")
        let closed = try await run("plain", arguments) { $0.stallUs = 400_000 }
        #expect(try #require(closed.result.latency).p99Us < 100_000, "\(closed.result.report)")
    }

    @Test func unansweredRequestsCountAsLongAsTheyWaited() async throws {
        let outcome = try await run(
            "plain", ["--connections", "2", "--duration", "0.2", "--warm-up", "0", "--rate", "100", "--grace", "1.5"]
        ) { $0.stallUs = 30_000_000 }
        #expect(outcome.result.unfinished > 0)
        #expect(!outcome.result.isGood)
        #expect(try #require(outcome.result.latency).p90Us > 1_000_000)
    }

    @Test func nobodyListeningIsAFailure() async throws {
        let outcome = try await run("plain", ["--duration", "0.2"]) { $0.refuses = true }
        #expect(outcome.result.failure?.contains("refused") == true, "\(outcome.result.report)")
    }

    // MARK: Inside

    private struct Outcome: Sendable {
        let result: RunResult
        let served: Int
        let accepted: Int
        let deepest: Int
    }

    private func run(
        _ workload: String, _ arguments: [String],
        _ adjust: @escaping @Sendable (inout TestServer.Behaviour) -> Void = { _ in }
    ) async throws -> Outcome {
        let outcome: Result<Outcome, any Error> = await withUnsafeContinuation { continuation in
            Threads.start("load-test") {
                continuation.resume(returning: Result { try runHere(workload, arguments, adjust) })
            }
        }
        return try outcome.get()
    }

    private func runHere(
        _ workload: String, _ arguments: [String], _ adjust: (inout TestServer.Behaviour) -> Void
    ) throws -> Outcome {
        let loop = EventLoop()
        var behaviour = TestServer.Behaviour()
        adjust(&behaviour)
        let listener = try Sockets.listen(.tcp(host: "127.0.0.1", port: 0), sharesPort: false)
        let port = try #require(Sockets.localPort(listener))
        if behaviour.refuses { close(listener) }
        let line = ["run", "--url", "http://127.0.0.1:\(port)", "--workload", workload, "--server-pid", "\(getpid())"]
        guard case .run(let options) = try Command.parse(line + arguments) else { throw UsageError(description: "") }
        let server = TestServer(loop: loop, listener: listener, behaviour: behaviour)
        let load = LoadRun(
            loop: loop, options: options,
            workload: Workload(options.workload, host: options.target.host, keys: options.keys, seed: options.seed))
        loop.run {
            server.start()
            load.start()
        }
        server.stop()
        return Outcome(result: load.result, served: server.served, accepted: server.accepted, deepest: server.deepest)
    }
}
