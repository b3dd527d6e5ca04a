import Bytes
import EventLoops
import Redis

/// Scripts that go wherever the slot of their SKU is: on a cluster all of them. They don't wait for the lane's turns, so a
/// slot that is on the move, or whose node is away, keeps no other waiting; a SKU has one call at a time.
extension StockLane {
    func runRouted() {
        forgetReadAhead()
        let groups = StockLane.takeGroups(from: &routed, except: underWay)
        for tickets in groups {
            underWay.insert(tickets[0].sku)
            let commands = CommitCommands()
            announce(tickets, in: commands)
            AheadCall.send(commands, by: redis, budgetUs: budgetUs(tickets)) { [self] error in
                // With no memory left nothing can be announced, and what gives back goes on all the same.
                if let error, error.isElsewhere || !error.isRefusal || !tickets[0].step.drains {
                    failed(tickets, error, mayBeDone: false)
                } else {
                    callRouted(tickets)
                }
            }
        }
    }

    private func budgetUs(_ tickets: [StockTicket]) -> Int64 {
        let firstUs = tickets.map(\.deadlineUs).min() ?? 0
        return max(1000, min(StockLane.replyBudgetUs, firstUs - loop.nowUs))
    }

    private func callRouted(_ tickets: [StockTicket]) {
        counters.scriptCalls.increment()
        let call = CommitCall(tickets, keys: keys, givenNowMs: givenNowMs) { [self] call, result in
            let commit: CommitReply?
            do throws(RedisError) { commit = try CommitReply(result.get()) } catch {
                return failed(tickets, error, mayBeDone: error.mayHaveRun)
            }
            guard let commit else { return callRouted(tickets) }
            underWay.remove(call.sku)
            answer(call, commit)
            pump()
        }
        redis.submit(call, budgetUs: budgetUs(tickets))
    }

    private func failed(_ tickets: [StockTicket], _ error: RedisError, mayBeDone: Bool) {
        if error.isRefusal, !error.isElsewhere {
            underWay.remove(tickets[0].sku)
            for ticket in tickets { ticket.answer(.failed(error)) }
        } else {
            if mayBeDone { for ticket in tickets { ticket.isUncertain = true } }
            restingCalls.insert(tickets[0].sku)
            rest(tickets)
        }
        pump()
    }
}
