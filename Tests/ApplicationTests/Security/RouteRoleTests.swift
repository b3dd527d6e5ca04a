import Application
import EventLoops
import HTTP
import Inventory
import JobScheduling
import RateLimiting
import Redis
import Services
import Telemetry
import TestSupport
import Testing

@testable import Application

extension Security {
    /// Every route of every service, and who may call it. A route that is new, or another role for one that is not, has to be
    /// said here.
    @Suite struct RouteRoleTests {
        /// By the role that a route asks for.
        private static let routes: [(role: Role?, routes: String)] = [
            (nil, "GET /healthz, GET /readyz"),
            (
                .check,
                """
                POST /api/rate-limits/check, POST /api/rate-limits/check/bulk, GET /api/rate-limits/status,
                GET /api/rate-limits/authorize, POST /api/rate-limits/authorize,
                PUT /api/rate-limits/authorize, PATCH /api/rate-limits/authorize, DELETE /api/rate-limits/authorize,
                OPTIONS /api/rate-limits/authorize, GET /api/rate-limits/authorize/{proxy}/*,
                POST /api/rate-limits/authorize/{proxy}/*, PUT /api/rate-limits/authorize/{proxy}/*,
                PATCH /api/rate-limits/authorize/{proxy}/*, DELETE /api/rate-limits/authorize/{proxy}/*,
                OPTIONS /api/rate-limits/authorize/{proxy}/*,
                POST /api/rate-limits/simulate, POST /api/rate-limits/leases, PUT /api/rate-limits/leases/{id},
                DELETE /api/rate-limits/leases/{id}
                """
            ),
            (.refund, "POST /api/rate-limits/refund"),
            (
                .read,
                """
                GET /metrics, GET /api/rate-limits, GET /api/rate-limits/{id}, GET /api/rate-limits/rules/{id},
                GET /api/rate-limits/events,
                GET /api/jobs, GET /api/jobs/{id}, GET /api/jobs/{id}/history, GET /api/jobs/{id}/result,
                GET /api/jobs/events, GET /api/dead, GET /api/batches/{id}, GET /api/queues, GET /api/job-types/{type},
                GET /api/resources, GET /api/sla, GET /api/workers, GET /api/cron/preview,
                GET /api/products, GET /api/products/{id}, GET /api/products/export, GET /api/inventory/{id},
                GET /api/inventory/{id}/ledger, GET /api/inventory/bulk/{id}, GET /api/inventory/export,
                GET /api/inventory/events, GET /api/inventory/reorder, GET /api/inventory/placement,
                GET /api/reservations, GET /api/reservations/{id}, GET /api/alerts/low-stock, GET /api/warehouses,
                GET /api/warehouses/{id}, GET /api/transfers, GET /api/transfers/{id}
                """
            ),
            (.work, "POST /api/workers/lease, POST /api/workers/heartbeat, POST /api/workers/finish"),
            (
                .sell,
                """
                POST /api/reservations, PUT /api/reservations/{id}, PUT /api/reservations/{id}/confirm,
                PUT /api/reservations/{id}/cancel,
                PUT /api/reservations/{id}/extend
                """
            ),
            (
                .stock,
                """
                POST /api/inventory/{id}/adjust, POST /api/inventory/bulk-adjust,
                POST /api/inventory/bulk/{id}/rollback, POST /api/inventory/import, POST /api/counts,
                POST /api/inventory/{id}/write-off, POST /api/transfers, PUT /api/transfers/{id}/ship,
                PUT /api/transfers/{id}/receive, PUT /api/transfers/{id}/cancel, POST /api/alerts/{id}/acknowledge
                """
            ),
            (
                .admin,
                """
                GET /api/audit, POST /api/rate-limits, POST /api/rate-limits/apply, PUT /api/rate-limits/{id},
                DELETE /api/rate-limits/{id}, PUT /api/rate-limits/rules/{id}, DELETE /api/rate-limits/rules/{id},
                POST /api/rate-limits/reset,
                POST /api/jobs, POST /api/jobs/bulk, POST /api/batches, PUT /api/jobs/{id}, DELETE /api/jobs/{id},
                POST /api/jobs/{id}/run, POST /api/jobs/{id}/retry, POST /api/jobs/{id}/cancel,
                POST /api/queues/{name}/pause, POST /api/queues/{name}/resume, PUT /api/job-types/{type},
                PUT /api/resources, POST /api/products, PUT /api/products/{id}, POST /api/products/import,
                POST /api/warehouses, PUT /api/warehouses/{id}, DELETE /api/warehouses/{id},
                POST /api/inventory/reconcile
                """
            ),
        ]

        /// Who may do what asks for a role.
        private static let callers: [Role: Set<Role>] = [
            .check: Set(Role.allCases), .refund: [.refund, .admin], .read: [.read, .work, .sell, .stock, .admin],
            .work: [.work, .admin], .sell: [.sell, .admin], .stock: [.stock, .admin], .admin: [.admin],
        ]

        private static let streams: Set<String> = [
            "/api/rate-limits/events", "/api/jobs/events", "/api/inventory/events", "/api/products/export",
            "/api/inventory/export",
        ]

        private static var services: [ServiceDefinition] {
            [
                RateLimitService.definition(), JobSchedulingService.definition(kinds: JobKindDefinition.standard),
                InventoryService.definition(),
            ]
        }

        private static func list(_ text: String) -> [String] {
            text.split { $0 == "," || $0.isNewline }.map { line in String(line.drop { $0 == " " }) }
                .filter { !$0.isEmpty }
        }

        @Test func everyRouteIsInTheTable() async throws {
            let there = try await LoopThread().run { () throws -> [String] in
                let process = ProcessContext(
                    replicaID: "test", prefix: "t:", redis: try RedisConfiguration(url: "redis://127.0.0.1:1"),
                    log: Logger(level: .error, format: .text), tokens: .none,
                    proxies: TrustedProxies(blocks: [], isLoopbackOnly: true), settings: [:], loopCount: 1,
                    configuredReplicas: 1)
                let server = try LoopServer(
                    loop: EventLoop.current!, process: process, definitions: Self.services, scripts: [],
                    limits: HTTPLimits(), system: SystemState(), tokensFile: nil)
                return server.router.routes.map { "\($0.method.name) \($0.pattern)" }
            }
            let said = Self.routes.flatMap { Self.list($0.routes) }
            #expect(Set(there).subtracting(said).sorted() == [], "are not in the table")
            #expect(Set(said).subtracting(there).sorted() == [], "are no routes")
            #expect(said.count == Set(said).count)
        }

        /// With a token of each role every route is asked: 403 says that the role will not do.
        @Test func everyRoleMayWhatItIsForAndNothingElse() throws {
            let file = Role.allCases.map { tokenLine($0.rawValue, $0.rawValue, "token-\($0.rawValue)") }.joined()
            let server = try TestServer(
                redis: try RedisServer.shared, tokens: try Tokens(file: file), services: Self.services)
            for (needed, routes) in Self.routes {
                for route in Self.list(routes) {
                    let words = route.split(separator: " ").map(String.init)
                    #expect(try status(server, words[0], words[1], token: nil) != 401 || needed != nil, "\(route)")
                    for role in Role.allCases {
                        let isAllowed = needed.map { Self.callers[$0]!.contains(role) } ?? true
                        let status = try status(server, words[0], words[1], token: "token-\(role.rawValue)")
                        #expect((status != 403) == isAllowed && status != 401, "\(role) \(route): \(status)")
                    }
                }
            }
        }

        private func status(
            _ server: TestServer, _ method: String, _ pattern: String, token: String?
        ) throws -> Int {
            let headers = token.map(bearer) ?? []
            let connection = try server.connect()
            if Self.streams.contains(pattern) {
                // Some of them have no end: their head is enough.
                let isThere = (try? connection.subscribe(pattern, headers: headers)) != nil
                return isThere ? 200 : token == nil ? 401 : 403
            }
            let path = pattern.split(separator: "/").map { $0.hasPrefix("{") ? "none-1" : $0 }.joined(separator: "/")
            let body = method == "GET" || method == "HEAD" ? nil : "{}"
            return try connection.request(method, "/" + path, headers: headers, body: body).status
        }
    }
}
