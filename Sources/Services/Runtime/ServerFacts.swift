/// What a Redis says of itself, as far as promises hang on it.
struct ServerFacts: Sendable {
    static let command = ["INFO", "server", "replication", "persistence"]

    let version: String
    /// Names the time during which this server is a master: another one, or the same one again, has another name. Empty
    /// when it does not say.
    let reign: String
    let isMaster: Bool
    let appendsToFile: Bool
    private let canWriteFile: Bool

    init(_ info: String) {
        var values: [Substring: Substring] = [:]
        for line in info.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        version = String(values["redis_version"] ?? "")
        if let run = values["run_id"], let replication = values["master_replid"] {
            reign = "\(run)/\(replication)"
        } else {
            reign = ""
        }
        isMaster = values["role"] == "master"
        appendsToFile = values["aof_enabled"] == "1"
        canWriteFile = values["aof_last_write_status"] == "ok"
    }

    /// WAITAOF came with 7.2.
    var hasWaitForFile: Bool {
        let parts = version.split(separator: ".").map { Int($0) ?? 0 }
        return parts.count >= 2 && (parts[0] > 7 || parts[0] == 7 && parts[1] >= 2)
    }

    var canWaitForFile: Bool { hasWaitForFile && appendsToFile && canWriteFile }
}
