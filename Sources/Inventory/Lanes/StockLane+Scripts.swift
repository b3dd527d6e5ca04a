import Bytes
import EventLoops
import Redis

/// One call of `commit`: steps on one SKU.
final class CommitCall: RedisCall {
    /// A buffer, because its bytes stay where they are.
    private let key = ByteBuffer(capacity: 64)
    /// See commit.lua.
    private let whole: String
    private let script: Script
    private let givenNowMs: Int?
    let tickets: [StockTicket]
    private let then: (CommitCall, Result<RedisReply, RedisError>) -> Void

    init(
        _ tickets: [StockTicket], keys: StockKeys, givenNowMs: Int?,
        then: @escaping (CommitCall, Result<RedisReply, RedisError>) -> Void
    ) {
        self.tickets = tickets
        key.append(keys.stock(tickets[0].sku))
        whole = keys.whole(tickets[0].sku)
        script = tickets[0].step.drains ? InventoryScripts.drain : InventoryScripts.commit
        self.givenNowMs = givenNowMs
        self.then = then
    }

    var sku: SKU { tickets[0].sku }

    /// The steps that have an answer of their own.
    var operations: [StockTicket] {
        tickets.filter { if case .sweep = $0.step { false } else { true } }
    }

    var route: RedisRoute { .key(key.view) }

    func encode(to writer: RESPWriter) {
        let operations = operations
        writer.script(script, keyCount: 2, argumentCount: 2 + operations.count)
        writer.argument(key.view)
        writer.argument(whole)
        writer.argument(givenNowMs.map { String($0) } ?? "")
        // A transaction of ours or of somebody's that is still on its way must fail.
        let mustFence = operations.count < tickets.count || tickets.contains { $0.isUncertain }
        writer.argument(mustFence ? "fence" as StaticString : "")
        for ticket in operations { writer.argument(ticket.step.json) }
    }

    func completed(_ result: Result<ReplyView, RedisError>) { then(self, result.map(\.copy)) }
}

/// What transactions leave to the script that judges in the same way.
extension StockLane {
    private static let mostOperations = 100
    private static let mostCalls = 16
    /// After this a sweeper looks for what a call left behind, should its caller die.
    private static let lookAfterMs = 5000

    /// Sends one call for each SKU that waits, at once.
    func runScripts() {
        forgetReadAhead()
        let groups = StockLane.takeGroups(from: &scripted)
        var missing = groups.count
        let commands = CommitCommands()
        for tickets in groups { announce(tickets, in: commands) }
        if commands.count > 0 {
            LaneCalls(commands) { _, _ in }.send(on: connection, budgetUs: StockLane.replyBudgetUs)
        }
        for tickets in groups {
            call(tickets) { [unowned self] in
                missing -= 1
                if missing == 0 { turnEnded() }
            }
        }
    }

    /// The steps of a call each, and what is left.
    /// - Parameter excluded: SKUs whose steps have to wait.
    static func takeGroups(from steps: inout [StockTicket], except excluded: Set<SKU> = []) -> [[StockTicket]] {
        var groups: [[StockTicket]] = []
        var places: [SKU: Int] = [:]
        var later: [StockTicket] = []
        for ticket in steps {
            if !excluded.isEmpty, excluded.contains(ticket.sku) {
                later.append(ticket)
                continue
            }
            // What drains must not stand in one call with what does not: at the memory limit only the former goes on.
            if let at = places[ticket.sku] {
                if groups[at].count < StockLane.mostOperations, groups[at][0].step.drains == ticket.step.drains {
                    groups[at].append(ticket)
                } else {
                    later.append(ticket)
                }
            } else if groups.count < StockLane.mostCalls {
                places[ticket.sku] = groups.count
                groups.append([ticket])
            } else {
                later.append(ticket)
            }
        }
        steps = later
        return groups
    }

    /// What the steps of a call are found by.
    func announce(_ tickets: [StockTicket], in commands: CommitCommands) {
        let sku = tickets[0].sku
        // Whoever sweeps has taken the SKU, and comes back by that.
        if tickets.allSatisfy({ if case .sweep = $0.step { true } else { false } }) { return }
        commands.writer.command(5)
        commands.writer.argument("ZADD" as StaticString)
        commands.writer.argument(keys.due(sku))
        commands.writer.argument("LT" as StaticString)
        let lookMs = Int(WallClock.nowUs() / 1000) + StockLane.lookAfterMs
        directory.noteDue(lookMs)
        commands.writer.argument(decimal: lookMs)
        commands.writer.argument(sku.code)
        commands.end()
        for ticket in tickets {
            guard case .reserve(let step) = ticket.step, let order = step.orderID else { continue }
            OrderIndex.announce(order, step.suffix, sku, keys, in: commands)
        }
    }

    private func call(_ tickets: [StockTicket], then ended: @escaping () -> Void) {
        counters.scriptCalls.increment()
        let call = CommitCall(tickets, keys: keys, givenNowMs: givenNowMs) { [unowned self] call, result in
            heard(call, result, then: ended)
        }
        connection.submit(call, budgetUs: StockLane.replyBudgetUs)
    }

    private func heard(
        _ call: CommitCall, _ result: Result<RedisReply, RedisError>, then ended: @escaping () -> Void
    ) {
        let commit: CommitReply?
        do throws(RedisError) { commit = try CommitReply(result.get()) } catch { return failed(call, error, ended) }
        guard let commit else { return self.call(call.tickets, then: ended) }
        ended()
        answer(call, commit)
    }

    private func failed(_ call: CommitCall, _ error: RedisError, _ ended: () -> Void) {
        if error.isElsewhere {
            sendElsewhere(call.tickets)
        } else if case .server = error {
            for ticket in call.tickets { ticket.answer(.failed(error)) }
        } else {
            if error.mayHaveRun { for ticket in call.tickets { ticket.isUncertain = true } }
            retry(call.tickets)
            cut()
        }
        ended()
    }

    func answer(_ call: CommitCall, _ commit: CommitReply) {
        counters.scriptedSteps.increment(by: call.tickets.count)
        for (ticket, reply) in zip(call.operations, commit.answers) {
            ticket.answer(StockAnswer(reply, suffix: ticket.step.suffix))
        }
        for ticket in call.tickets {
            guard case .sweep = ticket.step else { continue }
            let next = commit.nextExpiryMs.map { [String($0)] } ?? []
            ticket.answer(.other(StockReply(nowMs: commit.nowMs, productID: "", word: "swept", rest: next)))
        }
        if commit.outbox > 0 { onOutbox?(call.sku) }
    }
}
