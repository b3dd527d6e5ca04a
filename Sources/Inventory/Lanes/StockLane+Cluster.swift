import Bytes
import Redis

/// A cluster's lane is for one node, and its connection goes to it; each transaction is of one slot.
extension StockLane {
    static func connect(_ redis: RedisClient, _ sku: SKU?, _ keys: StockKeys) -> ExclusiveConnection {
        // On a cluster scripts go by the loop's client.
        ExclusiveConnection(
            of: redis, serving: sku.map { keys.stock($0) }, scripts: sku == nil ? InventoryScripts.all : [])
    }

    /// Whether the next turn's slot is at the lane's node. Steps whose slot is not are given away, and a connection that has
    /// gone elsewhere with its slot is replaced.
    func staysAt(_ node: Int) -> Bool {
        if let first = waiting.first, redis.node(of: first.sku) != node {
            let gone = waiting.filter { redis.node(of: $0.sku) != node }
            waiting.removeAll { redis.node(of: $0.sku) != node }
            onMoved?(gone)
        }
        guard let first = waiting.first else { return false }
        if let served, redis.node(of: served) != node {
            connection.close()
            connection = StockLane.connect(redis, first.sku, keys)
            self.served = first.sku
            start()
        }
        return true
    }

    /// Steps of the slot that has waited longest.
    func takeStepsOfOneSlot() -> [StockTicket] {
        let slot = waiting[0].slot
        var taken: [StockTicket] = []
        var later: [StockTicket] = []
        for ticket in waiting {
            if ticket.slot == slot, taken.count < StockLane.mostSteps {
                taken.append(ticket)
            } else {
                later.append(ticket)
            }
        }
        waiting = later
        return taken
    }

    /// Writes what a transaction is found by, which lies in other slots, and then goes on with it; with none of it if the
    /// watch is not what it was, or is old.
    func announceFirst(_ tickets: [StockTicket], then goOn: @escaping () -> Void) {
        let (connection, sentUs) = (connections, loop.nowUs)
        AheadCall.send(commit.ahead, by: redis, budgetUs: StockLane.replyBudgetUs) { [self] error in
            if let error {
                if error.isElsewhere || !error.isRefusal {
                    rest(tickets)
                } else {
                    for ticket in tickets { leaveToScript(ticket) }
                }
                turnEnded()
            } else if connection != connections || loop.nowUs - sentUs > StockLane.mostAheadUs {
                for ticket in tickets { ticket.conflicts += 1 }
                retry(tickets)
                turnEnded()
            } else {
                goOn()
            }
        }
    }
}

extension RedisClient {
    /// Which node serves a SKU's slot at the moment.
    func node(of sku: SKU) -> Int { sku.code.withByteView { node(of: $0) } }
}

extension RedisError {
    /// Redis has answered that it won't.
    var isRefusal: Bool { if case .server = self { true } else { false } }
}
