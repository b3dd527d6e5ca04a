import EventLoops
import Glibc
import JSON
import TestSupport

/// What a mixed load on a fleet came to: what the clients saw, and whether Redis has what they were told.
struct MixedLoad {
    let code: Int
    let output: String
    private let json: JSONValue

    /// Runs one to its end, with faults on a timetable.
    init(
        on fleet: FleetScript, seconds: Int, rate: Int, faults: String, _ options: [String] = []
    ) async throws {
        try await self.init(
            url: fleet.text("url"), redis: fleet.text("redis"), seconds: seconds, rate: rate,
            ["--dir", fleet.directory, "--fleet", Tree.root + "/deploy/fleet", "--faults", faults] + options)
        // The figures of a run are worth more than that it passed.
        print("faults: \(faults)\n\(output)")
    }

    /// Runs one on whatever answers at `url`.
    /// - Parameter calm: called once the load is over but for what is still waited for.
    init(
        url: String, redis: String, seconds: Int, rate: Int, _ options: [String], calm: () -> Void = {}
    ) async throws {
        let folder = try TemporaryFolder()
        let results = folder.path + "/results.json"
        let process = try ChildProcess(
            [
                try Tree.loadTest, "mixed", "--url", url, "--redis", redis, "--duration", String(seconds), "--rate",
                String(rate), "--json", results, "--record", folder.path + "/record",
            ] + options, output: folder.path + "/output")
        let startUs = MonotonicClock.nowUs()
        let calmUs = startUs + Int64(seconds) * 1_000_000
        // It bounds each of its own steps; this is for one that does not.
        let endUs = calmUs + 150_000_000
        var isCalm = false
        while !process.hasEnded, MonotonicClock.nowUs() < endUs {
            if !isCalm, MonotonicClock.nowUs() >= calmUs {
                isCalm = true
                calm()
            }
            try? await Task.sleep(nanoseconds: 20_000_000)
        }
        guard process.hasEnded else { throw SetUpFailure("the load has not ended") }
        let status = process.wait()
        code = status & 0x7F == 0 ? Int(status >> 8 & 0xFF) : -Int(status & 0x7F)
        output = try Tree.read(folder.path + "/output")
        let text = (try? Tree.read(results)) ?? ""
        guard let json = text.withByteView({ try? JSONValue(parsing: $0) }) else {
            throw SetUpFailure("no results: \(output)")
        }
        self.json = json
    }

    private var requests: [JSONValue] { if case .array(let kinds)? = json["requests"] { kinds } else { [] } }

    /// What clients saw that was no answer, by kind of error, but for those that are to be expected.
    func errors(but expected: Set<String>) -> [String: Int] {
        var seen: [String: Int] = [:]
        for kind in requests {
            guard case .object(let errors)? = kind["errors"] else { continue }
            for error in errors where !expected.contains(error.key) {
                if case .int(let count) = error.value, count > 0 { seen[error.key, default: 0] += Int(count) }
            }
        }
        return seen
    }

    /// Requests whose outcome nobody could say in the end.
    var unknown: Int {
        requests.reduce(0) { sum, kind in
            if case .int(let count)? = kind["unknown"] { sum + Int(count) } else { sum }
        }
    }
}
