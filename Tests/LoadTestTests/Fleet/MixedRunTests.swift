import EventLoops
import Glibc
import Testing

@testable import LoadTest

/// Mixed runs against a small server on the same loop, whose behaviour is exactly known.
struct MixedRunTests {
    private struct Outcome: Sendable {
        var counts: [RequestKind: [String: Int]]
        var errors: [RequestKind: [ErrorKind: Int]]
        var record: RunRecord
        var report: String
        var isGood: Bool
        var served: Int
    }

    private static let allowed = #"{"allowed":true,"reason":"allowed","id":"x-000000000001"}"#

    @Test func everyRequestIsSentOnceAndKept() async throws {
        let outcome = try await run("100/0/0", ["--rate", "200", "--duration", "0.5"]) {
            $0.body = MixedRunTests.allowed
        }
        #expect(outcome.isGood, "\(outcome.report)")
        #expect(outcome.counts[.check] == ["sent": 100, "ok": 100, "refused": 0, "retries": 0, "unknown": 0])
        #expect(outcome.served == 100)
        let kept = outcome.record.allowed.values.reduce(0) { $0 + $1.count }
        #expect((20...60).contains(kept), "four of ten checks are of a limited key")
    }

    @Test func whatIsAllowedForAnotherReasonProvesNothing() async throws {
        let outcome = try await run("100/0/0", ["--rate", "100", "--duration", "0.5"]) {
            $0.body = #"{"allowed":true,"reason":"no-rule"}"#
        }
        #expect(!outcome.isGood && (outcome.errors[.check]?[.unexpected] ?? 0) > 0, "\(outcome.report)")
        #expect(outcome.record.allowed.isEmpty)
    }

    @Test func jobsAreKeptUnderTheirKeys() async throws {
        let outcome = try await run("0/100/0", ["--rate", "100", "--duration", "0.5"]) {
            $0.status = "201 Created"
            $0.body = MixedRunTests.allowed
        }
        #expect(outcome.counts[.job]?["ok"] == 50, "\(outcome.report)")
        #expect(outcome.record.jobs.allSatisfy { $0.fate == .accepted && $0.id == "x-000000000001" })
        #expect(Set(outcome.record.jobs.map(\.key)).count == 50)
    }

    /// 503 is tried again, a bounded number of times, and then nobody knows.
    @Test func whatIsNeverAnsweredStaysUnknown() async throws {
        let outcome = try await run("0/100/0", ["--rate", "20", "--duration", "0.2", "--grace", "1"]) {
            $0.status = "503 Service Unavailable"
        }
        let counts = try #require(outcome.counts[.job])
        #expect(counts["sent"] == 4 && counts["unknown"] == 4 && counts["ok"] == 0, "\(outcome.report)")
        #expect(counts["retries"]! >= 4 && outcome.errors[.job]?[.unavailable] == outcome.served)
        #expect(outcome.record.jobs.allSatisfy { $0.fate == .unknown && $0.id.isEmpty })
    }

    /// A server that hangs: the connection is given up and the request tried again on another.
    @Test func aTryHasItsTime() async throws {
        let outcome = try await run(
            "100/0/0", ["--rate", "50", "--duration", "0.4", "--timeout", "0.3", "--connections", "4"]
        ) {
            $0.body = MixedRunTests.allowed
            $0.stallUs = 700_000
        }
        #expect(outcome.counts[.check]?["ok"] == 20, "\(outcome.report)")
        #expect((outcome.errors[.check]?[.timeout] ?? 0) > 0, "\(outcome.report)")
    }

    @Test func aServerThatClosesIsConnectedAgain() async throws {
        let outcome = try await run("100/0/0", ["--rate", "200", "--duration", "0.5", "--connections", "2"]) {
            $0.body = MixedRunTests.allowed
            $0.closesAfter = 7
        }
        #expect(outcome.counts[.check]?["ok"] == 100, "\(outcome.report)")
        #expect(outcome.isGood)
    }

    // MARK: Inside

    private func run(
        _ mix: String, _ arguments: [String], _ adjust: @escaping @Sendable (inout TestServer.Behaviour) -> Void
    ) async throws -> Outcome {
        let outcome: Result<Outcome, any Error> = await withUnsafeContinuation { continuation in
            Threads.start("load-test") {
                continuation.resume(returning: Result { try runHere(mix, arguments, adjust) })
            }
        }
        return try outcome.get()
    }

    private func runHere(
        _ mix: String, _ arguments: [String], _ adjust: (inout TestServer.Behaviour) -> Void
    ) throws -> Outcome {
        let loop = EventLoop()
        var behaviour = TestServer.Behaviour()
        adjust(&behaviour)
        let listener = try Sockets.listen(.tcp(host: "127.0.0.1", port: 0), sharesPort: false)
        let port = try #require(Sockets.localPort(listener))
        let line = ["mixed", "--url", "http://127.0.0.1:\(port)", "--mix", mix]
        guard case .mixed(let options) = try Command.parse(line + arguments) else { throw UsageError(description: "") }
        let server = TestServer(loop: loop, listener: listener, behaviour: behaviour)
        var record = RunRecord()
        record.head.run = "r"
        record.queues = ["q"]
        record.products = [.init(sku: "A", initial: 10)]
        let run = MixedRun(loop: loop, options: options, record: record, control: nil)
        loop.run {
            server.start()
            run.start()
        }
        server.stop()
        let report = MixedReport(run)
        var counts: [RequestKind: [String: Int]] = [:]
        for (kind, result) in run.results where result.sent > 0 {
            counts[kind] = [
                "sent": result.sent, "ok": result.ok, "refused": result.refused, "retries": result.retries,
                "unknown": result.unknown,
            ]
        }
        return Outcome(
            counts: counts, errors: run.results.mapValues(\.errors), record: run.record, report: report.text,
            isGood: report.isGood, served: server.served)
    }
}
