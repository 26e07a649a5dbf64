/** Colours and type: ink blue on paper, seal red for what failed; every text pair meets WCAG AA. */
import type { ThemeConfig } from 'antd'

export const theme: ThemeConfig = {
  token: {
    colorPrimary: '#1d3557',
    colorInfo: '#1d3557',
    colorSuccess: '#17633f',
    colorWarning: '#7a4f00',
    colorError: '#9a2a1f',
    colorLink: '#1d4f91',
    colorText: '#1c2430',
    colorTextSecondary: '#4a5565',
    colorTextTertiary: '#5b6675',
    colorTextDescription: '#4a5565',
    colorInfoBg: '#eaf0f8',
    colorInfoBorder: '#b5c7de',
    colorSuccessBg: '#eef5f0',
    colorSuccessBorder: '#a9cdb9',
    colorWarningBg: '#fdf6e7',
    colorWarningBorder: '#dcc187',
    colorErrorBg: '#fbefed',
    colorErrorBorder: '#d9a49d',
    colorBorderSecondary: '#dfe3e8',
    borderRadius: 4,
    fontSize: 15,
    controlHeight: 38,
    fontFamily:
      '-apple-system, "Segoe UI", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", sans-serif',
  },
}
