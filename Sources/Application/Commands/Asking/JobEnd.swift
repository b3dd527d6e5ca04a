import EventLoops
import Glibc
import JSON

/// Following a job to its end.
enum JobEnd {
    private static let longestSilenceUs: Int64 = 60_000_000

    /// The job once it has ended. A service that does not answer is asked again, for a minute.
    static func await(_ id: String, _ service: ServiceClient) throws -> JSONValue {
        let target = "/api/jobs/" + PathText.escaped(id)
        let beganUs = MonotonicClock.nowUs()
        var heardUs = beganUs
        while true {
            do {
                let job = try service.get(target)
                heardUs = MonotonicClock.nowUs()
                if !job.cell("endedAt").isEmpty { return job }
                if ["scheduled", "idle"].contains(job.cell("status")) {
                    throw CommandFailure(description: "\(id) is \(job.cell("status")) and has no end to wait for")
                }
            } catch let failure as CommandFailure {
                let silenceUs = MonotonicClock.nowUs() - heardUs
                guard failure.isPassing, silenceUs < longestSilenceUs else { throw failure }
            }
            // A short job is seen at once, a long one asked about seldom.
            usleep(UInt32(max(20_000, min(1_000_000, (MonotonicClock.nowUs() - beganUs) / 10))))
        }
    }

    /// Throws when the job ended otherwise than well.
    static func check(_ job: JSONValue) throws(CommandFailure) {
        let status = job.cell("status")
        guard status != "completed" else { return }
        let detail = job.cell("error").isEmpty ? job.cell("reason") : job.cell("error")
        throw CommandFailure(description: "\(job.cell("id")) is \(status)" + (detail.isEmpty ? "" : ": " + detail))
    }
}
