import EventLoops
import Redis
import Telemetry

/// What administrators have changed, in the stream `<prefix>audit`: the last 10,000 entries or a few more.
///
/// An entry is written after its answer, which does not wait for it; `finish` does, for as long as it is told. One that
/// Redis does not take goes to the log as a warning, whole.
public final class AuditLog {
    private unowned let context: ServiceContext
    private var pending = 0
    private var waiters: [UnsafeContinuation<Void, Never>] = []

    private static let mostEntries = 10_000
    /// With Redis out of reach entries must not heap up; who finds this many waiting goes to the log.
    private static let mostPending = 1000
    private static let budgetUs: Int64 = 5_000_000

    init(context: ServiceContext) { self.context = context }

    static func key(_ process: ProcessContext) -> String { process.prefix + "audit" }

    public func record(_ entry: AuditEntry) {
        guard pending < AuditLog.mostPending else { return warn(entry, "too many entries wait") }
        pending += 1
        let key = AuditLog.key(context.process)
        let command = ["XADD", key, "MAXLEN", "~", String(AuditLog.mostEntries), "*"] + entry.fields
        let redis = context.redis
        context.loop.spawn { [self] in
            do { _ = try await redis.send(command, key: key, budgetUs: AuditLog.budgetUs) } catch {
                warn(entry, "\(error)")
            }
            pending -= 1
            if pending == 0 { resume() }
        }
    }

    /// Suspends until every entry is written or given up, or until the time is over.
    public func finish(withinUs: Int64) async {
        guard pending > 0 else { return }
        let timer = context.loop.after(us: withinUs) { [weak self] in self?.resume() }
        await withUnsafeContinuation { waiters.append($0) }
        timer.cancel()
    }

    private func resume() {
        let resumed = waiters
        waiters = []
        for waiter in resumed { waiter.resume() }
    }

    private func warn(_ entry: AuditEntry, _ reason: String) {
        context.log.warning(
            "audit entry not written",
            [
                "reason": .string(reason), "who": .string(entry.who), "method": .string(entry.method),
                "route": .string(entry.route), "subject": .string(entry.subject), "status": .int(entry.status),
                "requestId": .string(entry.requestID), "address": .string(entry.address),
            ])
    }
}
