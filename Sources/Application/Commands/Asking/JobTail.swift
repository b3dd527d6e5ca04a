import Bytes
import EventLoops
import Glibc
import HTTP
import JSON

extension ServiceCommand {
    /// `jobs tail`: what happens to the jobs of a queue, as it happens.
    static func tail(_ asking: Asking) throws -> ExitCode {
        // Its end is to be asked for, and a good one.
        Signals.block([SIGINT, SIGTERM])
        Threads.start("qm-signals") {
            _ = Signals.wait(for: [SIGINT, SIGTERM])
            // Every line is written when it comes; nothing is left to do.
            _exit(ExitCode.success.rawValue)
        }
        let printsJSON = asking.printsJSON
        try asking.service.follow(
            "/api/jobs/events" + asking.query(["queue"]), note: { Output.note("quartermaster: \($0)") }
        ) { event in
            // What a stream begins with says where, not what happened.
            guard event.name == "change" else { return true }
            return Output.line(printsJSON ? event.data : JobTail.line(event))
        }
        return .success
    }
}

/// The lines of `jobs tail`.
enum JobTail {
    /// `2026-01-31T09:00:00.123Z completed default-000000000001`
    static func line(_ event: ServerSentEvent) -> String {
        guard let change = try? event.data.withByteView({ try JSONValue(parsing: $0) }) else { return event.data }
        // Redis makes the ids, each beginning with its time.
        let time = event.id.flatMap { Int64($0.prefix { $0 != "-" }) }.map { Timestamp(us: $0 * 1000).rfc3339 + " " }
        return DisplayText.oneLine("\(time ?? "")\(change.cell("event")) \(change.cell("job"))")
    }
}
