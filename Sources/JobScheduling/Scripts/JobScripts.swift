import Redis

/// The service's script texts, joined from the files in `lua/job_scheduling`.
enum JobScripts {
    static let enqueue = join("enqueue", [queue, ties, ends, PackageResources.enqueue_lua])
    static let finishAndLease = join(
        "finish_and_lease", [queue, ties, ends, take, PackageResources.finish_and_lease_lua])
    static let heartbeat = join("heartbeat", [queue, ties, ends, take, PackageResources.heartbeat_lua])
    static let cancel = join("cancel", [queue, ties, ends, take, PackageResources.cancel_lua])
    static let tick = join("tick", [queue, ties, ends, take, PackageResources.tick_lua])
    static let fire = join("fire", [queue, ties, ends, take, fields, runs, PackageResources.fire_lua])
    static let change = join("change", [queue, ties, ends, take, fields, runs, PackageResources.change_lua])
    /// The same when Redis has no memory left: a job that is deleted makes room.
    static let delete = join(
        "delete",
        [queue, ties, ends, take, fields, runs, Array("#!lua flags=allow-oom\n".utf8) + PackageResources.change_lua])
    static let batchOpen = join("batch_open", [queue, PackageResources.batch_open_lua])
    static let batch = join("batch", [queue, ties, ends, take, PackageResources.batch_lua])
    static let settings = join("settings", [queue, ties, ends, PackageResources.settings_lua])
    static let read = join("read", [PackageResources.read_lua])
    static let list = join("list", [PackageResources.list_lua])
    static let figures = join("figures", [PackageResources.figures_lua])
    static let peek = join("peek", [PackageResources.peek_lua])
    static let audit = join("audit", [fields, PackageResources.audit_lua])
    static let listQueue = join("list_queue", [PackageResources.list_queue_lua])
    static let workerPresence = join("worker_presence", [PackageResources.worker_presence_lua])

    static let all = [
        enqueue, finishAndLease, heartbeat, cancel, tick, fire, change, delete, batchOpen, batch, settings, read, list,
        figures, peek, audit, listQueue, workerPresence,
    ]

    private static let queue = PackageResources.queue_lua
    private static let ties = PackageResources.ties_lua
    private static let fields = PackageResources.fields_lua
    private static let ends = PackageResources.ends_lua
    private static let take = PackageResources.take_lua
    private static let runs = PackageResources.runs_lua

    /// The last file's first line goes first when it says how Redis is to run the script (`#!lua flags=…`).
    private static func join(_ name: String, _ parts: [[UInt8]]) -> Script {
        var last = parts.last!
        var text: [UInt8] = []
        if last.starts(with: Array("#!".utf8)), let end = last.firstIndex(of: 0x0A) {
            text = Array(last[...end])
            last = Array(last[(end + 1)...])
        }
        text += Array((parts.dropLast() + [last]).joined(separator: [0x0A]))
        return Script(name: name, source: text)
    }
}
