import Bytes
import JSON
import Testing

@testable import LoadTest

struct ReportTests {
    private func run(_ label: String, rate: Double, serverUs: Double?, p99Us: Double = 900) -> RunResult {
        var result = RunResult(label: label, requests: 10, requestsPerSecond: rate)
        result.decisionsPerSecond = rate * 100
        result.latency = .init(p50Us: 100, p90Us: 500, p99Us: p99Us, p999Us: 12_345, maxUs: 20_000, meanUs: 150.5)
        result.server = serverUs.map { .init(cpuUsPerRequest: $0, cpuUsPerDecision: $0 / 100, residentKiB: 2048) }
        return result
    }

    @Test func medians() {
        #expect(Table.median([]) == nil)
        #expect(Table.median([5]) == 5)
        #expect(Table.median([9, 1, 5]) == 5)
        #expect(Table.median([9, 1, 5, 3]) == 4)
    }

    @Test func aRowIsTheMedianOfEachFigure() {
        let table = Table([
            run("b", rate: 300, serverUs: 7, p99Us: 10), run("a", rate: 50, serverUs: nil),
            run("b", rate: 100, serverUs: 9, p99Us: 30), run("b", rate: 200, serverUs: 8, p99Us: 20),
        ])
        #expect(table.rows.map(\.label) == ["b", "a"])
        #expect(table.rows[0].requestsPerSecond == 200)
        #expect(table.rows[0].decisionsPerSecond == 20_000)
        #expect(table.rows[0].server?.cpuUsPerRequest == 8)
        #expect(table.rows[0].latency?.p99Us == 20)
        #expect(table.rows[0].requests == 30)
        #expect(table.rows[1].server == nil)
    }

    @Test func theTableIsAligned() {
        var bare = RunResult(label: "floor", requests: 1, requestsPerSecond: 1_234_567.4)
        bare.redis = .init(cpuUsPerRequest: 9, cpuUsPerDecision: 9.126, residentKiB: 0)
        let lines = Table([run("check-allowed", rate: 60_000, serverUs: 13.25), bare]).text.split(separator: "\n")
        #expect(Set(lines.map(\.count)).count == 1)
        func cells(_ line: Substring) -> [String] {
            line.split(separator: "|").map { $0.split(separator: " ").joined(separator: " ") }
        }
        #expect(lines.count == 4)
        #expect(
            cells(lines[2]) == [
                "check-allowed", "60,000", "6,000,000", "13.3", "0.13", "–", "0.10", "0.90", "12.3", "2.0",
            ])
        #expect(cells(lines[3]) == ["floor", "1,234,567", "–", "–", "–", "9.13", "–", "–", "–", "–"])
    }

    @Test func resultsReadBackAsTheyWereWritten() throws {
        var result = run("x \"quoted\"", rate: 61_234.5, serverUs: 8.25)
        result.statuses = [200: 9, 429: 1]
        result.durationUs = 1_000_000
        result.redis = .init(cpuUsPerRequest: 9, cpuUsPerDecision: nil, residentKiB: 100)
        let buffer = ByteBuffer()
        result.write(to: buffer)
        let json = try JSONValue(parsing: buffer.view)
        #expect(json["statuses"]?["429"] == .int(1))
        let read = try #require(RunResult(json: json))
        #expect(read.label == result.label)
        #expect(read.requestsPerSecond == result.requestsPerSecond)
        #expect(read.decisionsPerSecond == result.decisionsPerSecond)
        #expect(read.latency == result.latency)
        #expect(read.server == result.server)
        #expect(read.redis == result.redis)
        #expect(RunResult(json: .object([])) == nil)
        let rows = ByteBuffer()
        Table([result, result]).write(to: rows)
        guard case .array(let written) = try JSONValue(parsing: rows.view) else { throw UsageError(description: "") }
        #expect(written.count == 1)
        #expect(written[0]["statuses"] == nil)
    }

    @Test func onlyACleanRunIsGood() {
        var result = run("x", rate: 1, serverUs: nil)
        #expect(result.isGood)
        result.unexpected = 1
        #expect(!result.isGood)
        #expect(result.report.contains("WRONG: 1 unexpected statuses"))
        result = run("x", rate: 1, serverUs: nil)
        result.failure = "connect: Connection refused"
        #expect(!result.isGood)
        #expect(!RunResult(label: "x", requests: 0, requestsPerSecond: 0).isGood)
    }

    @Test func numbersForPeople() {
        #expect(Numbers.text(0) == "0")
        #expect(Numbers.text(999.5) == "1,000")
        #expect(Numbers.text(1_234_567) == "1,234,567")
        #expect(Numbers.text(0.084, decimals: 2) == "0.08")
        #expect(Numbers.text(9.996, decimals: 2) == "10.00")
        #expect(Numbers.text(-1.25, decimals: 1) == "-1.3")
        #expect(Numbers.text(-0.01, decimals: 1) == "0.0")
        #expect(Numbers.ms(us: 84) == "0.08")
        #expect(Numbers.ms(us: 9994) == "9.99")
        #expect(Numbers.ms(us: 9996) == "10.0")
        #expect(Numbers.ms(us: 250_000) == "250")
    }

    @Test func readsWhatProcSays() throws {
        let stat =
            "4242 (a) b (c) S 1 4242 4242 0 -1 4194560 5 0 0 0 123 45 0 0 20 0 2 0 777 1000 300 18446744073709551615"
        let status = "Name:\ta\nVmPeak:\t    9999 kB\nVmRSS:\t    4321 kB\nThreads:\t2\n"
        let sample = try #require(ProcessSample(stat: stat, status: status, ticksPerSecond: 100))
        #expect(sample.cpuUs == 1_680_000)
        #expect(sample.residentKiB == 4321)
        #expect(ProcessSample(stat: "nonsense", status: status, ticksPerSecond: 100) == nil)
        #expect(ProcessSample(pid: Int(Int32.max)) == nil)
    }
}
