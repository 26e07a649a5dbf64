import { expect, test } from 'vitest'
import { command, type Overview } from './overview'

const overview: Overview = {
  organisation: { id: 'court', name_zh: '法院', name_en: 'Court', roles: ['court'], home: '/srv/court', validates: true },
  chain: { id: '00', name: 'demo' },
  can: { notarise: false, retrieve: true, rule: true },
  node: { reachable: false, error: '' },
  read: { height: 0, trouble: null },
  pending: [],
  records: [],
  watched: [],
}

test('a command names the folder and the contract', () => {
  expect(command(overview, 'rule', 'ab')).toMatch(/^qz-client rule --home \/srv\/court --contract ab --form judgment /)
  expect(command({ ...overview, organisation: { ...overview.organisation, roles: ['arbitration'] } }, 'rule', 'ab')).toContain('--form award')
  expect(command(overview, 'watch')).toBe('qz-client watch --home /srv/court')
})
