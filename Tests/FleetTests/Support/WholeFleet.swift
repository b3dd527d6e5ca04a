import EventLoops
import Glibc
import JSON
import TestSupport

/// A fleet that `deploy/fleet` has started, as a whole: replicas, workers, a Redis, a load balancer. It is taken down when
/// this object goes.
final class WholeFleet: Sendable {
    let url: String
    let redisURL: String
    let folder: TemporaryFolder
    var directory: String { folder.path + "/fleet" }

    /// What a load test has found.
    struct Run {
        let code: Int
        let output: String
        let json: JSONValue
    }

    init(_ options: String...) async throws {
        folder = try TemporaryFolder()
        let place = ["--dir", folder.path + "/fleet", "--program", try Tree.executable]
        let made = try await WholeFleet.command([Tree.path("deploy/fleet"), "up"] + place + options, in: folder)
        guard made.code == 0, let json = made.output.withByteView({ try? JSONValue(parsing: $0) }),
            case .string(let redis)? = json["redis"]
        else { throw SetUpFailure("no fleet: \(made.output)\(made.errors)") }
        if case .string(let text)? = json["url"] { url = text } else { url = "" }
        redisURL = redis
    }

    deinit {
        let program = Tree.path("deploy/fleet")
        _ = try? ChildProcess([program, "down", "--dir", directory], output: folder.path + "/down").wait()
    }

    /// One of `deploy/fleet`'s commands; anything but success throws.
    func act(_ words: String...) async throws {
        let done = try await WholeFleet.command(
            [Tree.path("deploy/fleet")] + words + ["--dir", directory], in: folder)
        guard done.code == 0 else { throw SetUpFailure("\(words): \(done.output)\(done.errors)") }
    }

    /// Checks, jobs and reservations through the load balancer, with faults on a timetable; what Redis has afterwards is
    /// held against what the clients were told.
    func mixed(seconds: Int, rate: Int, faults: String, _ options: String...) async throws -> Run {
        let results = folder.path + "/results.json"
        let done = try await WholeFleet.command(
            [
                try Tree.loadTest, "mixed", "--url", url, "--redis", redisURL, "--dir", directory, "--fleet",
                Tree.path("deploy/fleet"), "--duration", String(seconds), "--rate", String(rate), "--faults",
                faults, "--json", results, "--record", folder.path + "/record",
            ] + options, in: folder)
        let text = (try? Tree.read(results)) ?? ""
        guard let json = text.withByteView({ try? JSONValue(parsing: $0) }) else {
            throw SetUpFailure("no results: \(done.output)\(done.errors)")
        }
        return Run(code: done.code, output: done.output + done.errors, json: json)
    }

    private static func command(
        _ words: [String], in folder: TemporaryFolder
    ) async throws -> (code: Int, output: String, errors: String) {
        let name = folder.path + "/command-\(UInt32.random(in: 0...(.max)))"
        let process = try ChildProcess(words, output: name + "-output", errors: name + "-errors")
        // A run lasts as long as its timetable, and each of its steps is bounded by itself.
        let endUs = MonotonicClock.nowUs() + 300_000_000
        while !process.hasEnded, MonotonicClock.nowUs() < endUs {
            try? await Task.sleep(nanoseconds: 20_000_000)
        }
        guard process.hasEnded else { throw SetUpFailure("it has not ended: \(words)") }
        let status = process.wait()
        let code = status & 0x7F == 0 ? Int(status >> 8 & 0xFF) : -Int(status & 0x7F)
        return (code, (try? Tree.read(name + "-output")) ?? "", (try? Tree.read(name + "-errors")) ?? "")
    }
}
