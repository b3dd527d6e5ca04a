import Bytes
import JSON
import Testing

@testable import LoadTest

struct WorkloadTests {
    /// The method, target, headers and body of a prepared request.
    private func read(_ request: ByteView) throws -> (line: String, headers: [String: String], body: String) {
        let text = request.string
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        try #require(parts.count == 2)
        let lines = parts[0].split(separator: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let field = line.split(separator: ": ", maxSplits: 1)
            headers[String(field[0])] = String(field[1])
        }
        return (String(lines[0]), headers, String(parts[1]))
    }

    @Test func everyBodyIsJSONOfItsStatedLength() throws {
        for name in WorkloadName.allCases {
            let workload = Workload(name, host: "127.0.0.1:8080", keys: 50, seed: 3)
            #expect(workload.requests.count > 0)
            for i in 0..<workload.requests.count {
                let (line, headers, body) = try read(workload.requests.view(i))
                #expect(line.hasSuffix(" HTTP/1.1"))
                #expect(headers["Host"] == "127.0.0.1:8080")
                guard line.hasPrefix("POST ") else {
                    #expect(line.hasPrefix("GET /") && body.isEmpty)
                    continue
                }
                #expect(headers["Content-Length"] == String(body.utf8.count))
                let json = try body.withByteView { try JSONValue(parsing: $0) }
                if name == .bulk {
                    guard case .array(let checks)? = json["checks"] else { throw Wrong() }
                    #expect(checks.count == Workload.bulkSize)
                    #expect(checks.allSatisfy { $0["endpoint"] == .string("/bench/allowed") })
                    #expect(Set(checks.compactMap { $0["identifier"]?.text() }).count > 10)
                } else if name == .enqueueBulk {
                    guard case .array(let jobs)? = json["jobs"] else { throw Wrong() }
                    #expect(jobs.count == Workload.jobBulkSize)
                    // The size that the figures of memory are given for.
                    #expect(jobs.allSatisfy { $0["config"]?.text().utf8.count == 112 })
                } else if name == .enqueue {
                    #expect(json["type"] == .string("simulated"))
                    #expect(json["config"]?.text().utf8.count == 112)
                } else if name == .reserve || name == .reserveKeyed {
                    let isKeyed = name == .reserveKeyed
                    #expect(json["productId"] == .string(Workload.identifier(isKeyed ? 0 : i)))
                    #expect(json["warehouseId"] == .string(StockSetup.warehouse) && json["quantity"] == .int(1))
                    #expect(headers["Idempotency-Key"] == (isKeyed ? Workload.identifier(i) : nil))
                } else {
                    #expect(json["identifier"] != nil && json["endpoint"] != nil && json["method"] == .string("GET"))
                }
            }
        }
    }

    private struct Wrong: Error {}

    @Test func checksCoverEachKeyOnce() throws {
        let workload = Workload(.checkAllowed, host: "h", keys: 300, seed: 1)
        var identifiers: Set<String> = []
        for i in 0..<workload.requests.count {
            let body = try read(workload.requests.view(i)).body
            identifiers.insert(try body.withByteView { try JSONValue(parsing: $0) }["identifier"]?.text() ?? "")
        }
        #expect(workload.requests.count == 300)
        #expect(identifiers.count == 300)
        #expect(identifiers.contains("\"bench-000000000042\""))
        #expect(Workload(.checkHot, host: "h", keys: 300, seed: 1).requests.count == 1)
    }

    @Test func forwardAuthSendsWhatAProxySends() throws {
        let workload = Workload(.forwardAuth, host: "h", keys: 20, seed: 1, token: "secret")
        let (line, headers, _) = try read(workload.requests.view(7))
        #expect(line == "GET /api/rate-limits/authorize?proxy=nginx&api-key-header=x-api-key HTTP/1.1")
        #expect(headers["X-Original-URI"] == "/bench/allowed?page=7")
        #expect(headers["X-Original-Method"] == "GET")
        #expect(headers["X-Forwarded-For"] == "198.51.100.8")
        #expect(headers["X-API-Key"] == "bench-000000000007")
        #expect(headers["Authorization"] == "Bearer secret")
    }

    @Test func rulesAreJSONAndBindToTheEndpointsOfTheWorkloads() throws {
        var endpoints: [String: Int] = [:]
        for rule in BenchRules.all {
            let json = try rule.json.withByteView { try JSONValue(parsing: $0) }
            #expect(json["name"] == .string(rule.name))
            #expect(json["window"] != nil && json["strategy"] != nil && json["limit"] != nil)
            guard case .string(let endpoint)? = json["match"]?["endpoint"] else { throw Wrong() }
            endpoints[endpoint, default: 0] += 1
        }
        #expect(endpoints == ["/bench/allowed": 1, "/bench/denied": 1, "/bench/hot": 1, "/bench/composed": 3])
    }

    @Test func thePickerPassesInOrderAndThenSpreadsEvenly() {
        var picker = RequestPicker(count: 10, passes: 2, seed: 5)
        #expect((0..<20).map { _ in picker.next() } == Array(0..<10) + Array(0..<10))
        var counts = [Int](repeating: 0, count: 10)
        for _ in 0..<10_000 { counts[picker.next()] += 1 }
        // Six standard deviations: 6 · √(10,000 · 0.1 · 0.9).
        #expect(counts.allSatisfy { abs($0 - 1000) < 180 }, "\(counts)")
        var again = RequestPicker(count: 10, passes: 0, seed: 5)
        var same = RequestPicker(count: 10, passes: 0, seed: 5)
        var other = RequestPicker(count: 10, passes: 0, seed: 6)
        let first = (0..<20).map { _ in again.next() }
        #expect(first == (0..<20).map { _ in same.next() })
        #expect(first != (0..<20).map { _ in other.next() })
    }

    @Test func passesEndWhenTheyAreAnswered() {
        var picker = RequestPicker(count: 3, passes: 2, seed: 1)
        #expect(!picker.passesAreAnswered)
        picker.answered = 6
        #expect(picker.passesAreAnswered)
    }
}
