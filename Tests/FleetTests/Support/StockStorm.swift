import EventLoops
import Glibc
import JSON
import Synchronization
import TestSupport

/// Clients that do to stock whatever comes to their mind, on replicas that die under their hands.
final class StockStorm: Sendable {
    static let skus = ["A", "B", "C"]

    private struct State {
        var ports: [Int]
        var isOver = false
        /// Reservations and transfers that were answered with 201.
        var reservations: [String] = []
        var transfers: [String] = []
        /// What no client should ever see.
        var wrong: [String] = []
        var answers = 0
        var lost = 0
    }

    private let state: Mutex<State>
    private let running = Journal<Int>()
    private let clients: Int

    /// - Parameter seed: of the clients' choices; they and their number repeat a run as far as threads allow.
    init(ports: [Int], clients: Int, seed: UInt64) {
        state = Mutex(State(ports: ports))
        self.clients = clients
        for client in 0..<clients {
            Threads.start("storm-\(client)") { [self] in
                var random = SeededRandom(seed: seed &+ UInt64(client) &* 1_000_003)
                while !state.withLock({ $0.isOver }) { step(&random) }
                running.add(client)
            }
        }
    }

    var reservations: [String] { state.withLock { $0.reservations } }
    var transfers: [String] { state.withLock { $0.transfers } }
    var wrong: [String] { state.withLock { $0.wrong } }
    var answers: Int { state.withLock { $0.answers } }
    var lost: Int { state.withLock { $0.lost } }

    func replace(_ index: Int, port: Int) { state.withLock { $0.ports[index] = port } }

    func end() async -> Bool {
        state.withLock { $0.isOver = true }
        return await eventually { running.count == clients }
    }

    private func step(_ random: inout SeededRandom) {
        let (port, reservations, transfers) = state.withLock { state in
            (state.ports[random.int(0...state.ports.count - 1)], state.reservations, state.transfers)
        }
        let sku = random.pick(StockStorm.skus)
        let quantity = random.int(1...4)
        let hold = reservations.isEmpty ? nil : random.pick(Array(reservations.suffix(40)))
        let transfer = transfers.isEmpty ? nil : random.pick(Array(transfers.suffix(10)))
        let life = random.oneIn(3) ? #","expiresInMs":\#(random.int(100...3000))"# : ""
        func line(_ sku: String) -> String {
            #"{"productId":"\#(sku)","warehouseId":"warehouse-\#(random.int(1...2))","quantity":\#(quantity)}"#
        }
        switch random.int(1...20) {
        case 1...7:
            let body = #"{"productId":"\#(sku)","quantity":\#(quantity),"allocation":"any"\#(life)}"#
            send(port, "POST", "/api/reservations", body, keeps: .reservation)
        case 8...9:
            let lines = StockStorm.skus.prefix(random.int(2...3)).map(line).joined(separator: ",")
            let body = #"{"lines":[\#(lines)]\#(life)}"#
            send(port, "POST", "/api/reservations", body, keeps: .reservation)
        case 10...12: if let hold { send(port, "PUT", "/api/reservations/\(hold)/confirm", nil) }
        case 13...14: if let hold { send(port, "PUT", "/api/reservations/\(hold)/cancel", nil) }
        case 15...17:
            let type = random.oneIn(3) ? "subtract" : "add"
            let body =
                #"{"warehouseId":"warehouse-\#(random.int(1...2))","type":"\#(type)","quantity":\#(quantity * 3)}"#
            send(port, "POST", "/api/inventory/\(sku)/adjust", body)
        case 18:
            let body =
                #"{"productId":"\#(sku)","fromWarehouseId":"warehouse-1","toWarehouseId":"warehouse-2","quantity":\#(quantity)}"#
            send(port, "POST", "/api/transfers", body, keeps: .transfer)
        default:
            if let transfer {
                send(port, "PUT", "/api/transfers/\(transfer)/\(random.pick(["ship", "receive", "cancel"]))", nil)
            }
        }
    }

    private enum Kept { case nothing, reservation, transfer }

    private func send(_ port: Int, _ method: String, _ path: String, _ body: String?, keeps: Kept = .nothing) {
        guard let connection = try? HTTPConnection(.tcp(host: "127.0.0.1", port: port)),
            let answer = try? connection.request(method, path, body: body)
        else {
            // The replica died: the client may not know what became of its request.
            state.withLock { $0.lost += 1 }
            usleep(10_000)
            return
        }
        state.withLock { state in
            state.answers += 1
            if ![200, 201, 409, 503].contains(answer.status) {
                state.wrong.append("\(method) \(path) \(answer.status) \(answer.text)")
            }
            guard answer.status == 201, case .string(let id)? = answer.json?["id"] else { return }
            switch keeps {
            case .nothing: break
            case .reservation: state.reservations.append(id)
            case .transfer: state.transfers.append(id)
            }
        }
    }
}
